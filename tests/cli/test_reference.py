"""``forcefree reference`` from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from forcefree.cli.main import app
from forcefree.data.h5md import read_store

CONFIG = """
calculator: {name: 'springs:Springs'}
start: {name: methane}
temperatures: [200, 400]
runs_per_temperature: 2
timestep: 1 fs
equilibration: {duration: 50 fs}
recording: {duration: 40 fs, every: 1 fs}
output: out.h5
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a configuration."""
    (tmp_path / "reference.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_ends_with_a_store_and_a_table(folder: Path) -> None:
    result = CliRunner().invoke(app, ["reference", "reference.yaml", "--workers", "2"])
    assert result.exit_code == 0, result.stderr
    assert [len(run) for run in read_store(folder / "out.h5")] == [41] * 4
    rows = [line.split("│")[1:-1] for line in result.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row[:3]] for row in rows] == [["200", "2", "82"], ["400", "2", "82"]]
    assert "164/164" in result.stderr
    again = CliRunner().invoke(app, ["reference", "reference.yaml"])
    assert again.exit_code == 0
    assert again.stdout == result.stdout


def test_runs_that_never_came_to_their_temperature_are_warned_of(folder: Path) -> None:
    cold = CONFIG.replace("duration: 50 fs", "duration: 1 fs, friction_time: 1 ps").replace("[200, 400]", "[400]")
    (folder / "reference.yaml").write_text(cold.replace("recording: {", "recording: {ensemble: nve, "))
    result = CliRunner().invoke(app, ["reference", "reference.yaml"])
    assert result.exit_code == 0
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("warning")]
    assert line.startswith("warning: the runs at 400 K have a mean temperature of ")
    assert line.endswith("so a longer equilibration is needed")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("timestep: 1 fs|timestep: 0.3 fs", "reference.yaml: the top level: recording.every (1 fs) must be a multiple of timestep"),
        ("temperatures: [200, 400]|temperatures: [-3]", "reference.yaml: the top level: temperatures must lie between 0 and 100000 K"),
        ("output: out.h5|output: out.txt", "output out.txt would be an H5MD file but is not named as one"),
        ("name: methane|name: methan", "'methan' is neither a file nor a known start"),
        ("name: methane|file: start.xyz", "start structure start.xyz does not exist"),
        ("springs:Springs|gfn9", "calculator 'gfn9' is unknown"),
    ],
)
def test_a_wrong_configuration_is_one_sentence_and_code_2(folder: Path, change: str, sentence: str) -> None:
    (folder / "reference.yaml").write_text(CONFIG.replace(*change.split("|")))
    result = CliRunner().invoke(app, ["reference", "reference.yaml"])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"forcefree: {sentence}"), result.stderr
    assert result.stderr.count("\n") == 1
    assert not (folder / "out.h5").exists()


def test_a_missing_configuration_and_a_wrong_number_of_workers_are_said(folder: Path) -> None:
    result = CliRunner().invoke(app, ["reference", "none.yaml"])
    assert (result.exit_code, result.stderr) == (2, "forcefree: configuration file none.yaml does not exist\n")
    result = CliRunner().invoke(app, ["reference", "reference.yaml", "--workers", "0"])
    assert result.exit_code == 2
    assert "--workers: workers: input should be greater than or equal to 1" in result.stderr
