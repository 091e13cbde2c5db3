"""``forcefree models`` from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from forcefree.cli.main import app
from forcefree.models import files
from forcefree.models.files import save_model
from oracles import boxed


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model file."""
    path = tmp_path / "springs.safetensors"
    save_model(boxed(temperatures=[300.0, 500.0], fixed_times=[5.0, 10.0], level_of_theory="[gfn2-xtb]"), path)
    return path


def test_the_list_shows_what_is_bundled(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "bundled_models", lambda: {"springs-box": model})
    result = CliRunner().invoke(app, ["models", "list"], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.stderr
    row = next(line for line in result.stdout.splitlines() if "springs-box" in line)
    for cell in ("springs", "5, 10", "[gfn2-xtb]", "300 to 500", "kB"):
        assert cell in row
    assert "bundled starts: ethanol" in result.stdout
    assert "ethanol-nvt-300K" in result.stdout
    assert "architectures: trajcast" in result.stdout


def test_a_card_is_shown_whole(model: Path) -> None:
    result = CliRunner().invoke(app, ["models", "show", str(model)], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.stderr
    for field in ("elements", "weights", "cutoff", "level_of_theory", "propagator", "guards", "licence", "MIT", "[gfn2-xtb]"):
        assert field in result.stdout


@pytest.mark.parametrize("name", ["trajcast-ethnol", "none.safetensors"])
def test_a_model_that_is_not_there_is_one_sentence(name: str) -> None:
    result = CliRunner().invoke(app, ["models", "show", name])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"forcefree: model file {name} does not exist; bundled models are")


def test_a_damaged_file_is_one_sentence(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:64])
    result = CliRunner().invoke(app, ["models", "show", str(model)])
    assert result.exit_code == 2
    assert "is damaged or not a safetensors file" in result.stderr
    assert result.stderr.count("\n") == 1
