"""``forcefree analyze`` from the command line: the table, the report, and bad input in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from forcefree.cli.analyze import analyze
from forcefree.cli.failures import SentenceGroup
from networks import molecular_dynamics, store


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("stores")
    return store(folder / "traj.h5", molecular_dynamics(4, 200, seed=1)), store(folder / "reference.h5", molecular_dynamics(6, 200))


def _run(*arguments: object) -> Result:
    app = typer.Typer(cls=SentenceGroup, pretty_exceptions_enable=False)
    app.command("analyze")(analyze)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["analyze", *map(str, arguments)])


def test_a_report_and_a_table(tmp_path: Path, stores: tuple[Path, Path]) -> None:
    result = _run(stores[0], "--against", stores[1], "--output", tmp_path / "out", "--samples", 40, "--splits", 3, "--discard", "20fs")
    assert result.exit_code == 0, result.output
    for words in ("temperature of O", "vibrational density of states", "bond lengths", "Measured against this reference", "report.html"):
        assert words in result.output
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["options"]["discard"] == "20fs"
    assert found["options"]["splits"] == 3
    assert (tmp_path / "out" / "report.html").stat().st_size > 500_000


def test_what_failed_is_named_on_the_screen(tmp_path: Path, stores: tuple[Path, Path]) -> None:
    hot = [replace(run, velocities=1.5 * run.velocities) for run in molecular_dynamics(4, 200, seed=2)]
    result = _run(store(tmp_path / "hot.h5", hot), "-a", stores[1], "-o", tmp_path, "-c", "none")
    assert result.exit_code == 0, result.output
    assert "cannot be trusted for thermal averages (temperature and equipartition) [temperature" in " ".join(result.output.split())


def test_energies_can_be_left_out(tmp_path: Path, stores: tuple[Path, Path]) -> None:
    result = _run(stores[0], "-a", stores[1], "-o", tmp_path, "-c", "none")
    assert result.exit_code == 0, result.output
    assert "potential energy" not in result.output
    assert json.loads((tmp_path / "report.json").read_text())["energies"] is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a, b: (a.with_name("none.h5"), "-a", b), "does not exist"),
        (lambda a, b: (a, "-a", b.with_name("none.h5")), "does not exist"),
        (lambda a, b: (a, "-a", b, "--temperature", 450), "none at 450 K"),
        (lambda a, b: (a, "-a", b, "--discard", "all"), "'all' is not a duration"),
        (lambda a, b: (a, "-a", b, "--discard", "95%"), "at least 32 are needed"),
        (lambda a, b: (a, "-a", b, "--calculator", "gfn7-xtb"), "calculator 'gfn7-xtb' is unknown"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path: Path, stores: tuple[Path, Path], change, sentence: str) -> None:
    result = _run(*change(*stores), "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert sentence in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_a_damaged_store_is_one_sentence(tmp_path: Path, stores: tuple[Path, Path]) -> None:
    cut = tmp_path / "cut.h5"
    cut.write_bytes(stores[0].read_bytes()[:30000])
    result = _run(cut, "-a", stores[1], "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "truncated" in result.output


def test_help_shows_examples() -> None:
    result = _run("--help")
    assert result.exit_code == 0
    assert "forcefree analyze traj.h5 --against reference.h5" in result.output
