"""``forcefree simulate`` from the command line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from ase.io import write
from typer.testing import CliRunner

from forcefree.cli.simulate import simulate
from forcefree.data.h5md import read_store
from forcefree.errors import ForcefreeError
from forcefree.models.files import save_model
from oracles import Springs, boxed, boxed_atoms

app = typer.Typer()
app.command()(simulate)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model of springs and a start structure."""
    model = boxed()
    save_model(model, tmp_path / "springs.safetensors")
    monkeypatch.setattr("forcefree.models.files.build_model", lambda card: boxed())
    write(tmp_path / "start.extxyz", boxed_atoms())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(*arguments: str):
    return CliRunner().invoke(app, ["springs.safetensors", "start.extxyz", *arguments])


def test_a_simulation_ends_with_its_frames_and_a_summary(files: Path) -> None:
    result = _run("--temperature", "300", "--duration", "0.1ps", "--replicas", "2", "-o", "out/t.h5", "--save-every", "5fs", "--no-guards")

    assert result.exit_code == 0, result.output
    assert "2 replicas to 0.1 ps with reversible steps of 20 fs" in result.output
    assert "ns/day in all; frames in out/t.h5, log in out/t.csv" in result.output
    assert [len(t) for t in read_store(files / "out/t.h5")] == [21, 21]


def test_all_options_reach_the_engine(files: Path) -> None:
    result = _run(
        "--ensemble", "nvt", "--temperature", "320", "--duration", "60fs", "--output", "t.h5", "--thermostat", "langevin",
        "--thermostat-time", "50fs", "--propagator", "reversible", "--interval", "10fs", "--corrections", "2", "--save-every", "10fs",
        "--log-every", "30fs", "--seed", "4", "--equilibration", "20fs", "--velocities", "maxwell-boltzmann", "--rotation", "--no-guards",
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    [trajectory] = read_store(files / "t.h5")
    said = trajectory.provenance
    assert said["propagator"] == {"name": "reversible", "interval": 10.0, "corrections": 2}
    assert (said["thermostat"], said["thermostat_time"], said["seed"], said["temperature"]) == ("langevin", 50.0, 4, 320.0)
    assert said["rotation"] is True
    np.testing.assert_allclose(trajectory.times, np.arange(7) * 10.0)


def test_the_usual_thermostat_needs_no_option_and_one_that_equilibrates_is_no_contradiction(files: Path) -> None:
    common = ("--temperature", "300", "--duration", "20fs", "--no-guards", "--save-every", "20fs")
    assert _run(*common, "-o", "nvt.h5").exit_code == 0
    [trajectory] = read_store(files / "nvt.h5")
    assert (trajectory.provenance["thermostat"], trajectory.provenance["thermostat_time"]) == ("csvr", 1000.0)
    result = _run(*common, "-o", "nve.h5", "--ensemble", "nve", "--equilibration", "20fs", "--thermostat", "langevin")
    assert result.exit_code == 0, result.output


def test_the_heat_that_the_forecasts_made_is_told_with_its_error_where_it_can_be(files: Path) -> None:
    common = ("--temperature", "300", "--no-guards", "--duration", "200fs", "--thermostat", "csvr-elements", "--thermostat-time", "100fs")
    alone = _run(*common, "-o", "one.h5", "--equilibration", "100fs")
    several = _run(*common, "-o", "three.h5", "--equilibration", "100fs", "--replicas", "3")
    assert re.search(
        r"heat that the forecasts made: [-+][\d.e+]+ meV/atom/ps on average over 1 replica; only several tell its error\n", alone.output
    ), alone.output
    assert re.search(r"heat that the forecasts made: [-+]\S+ ± \S+ meV/atom/ps on average over 3 replicas\n", several.output), (
        several.output
    )
    assert "heat" not in _run(*common, "-o", "relaxed.h5").output
    assert [len(run.provenance["heat"]) > 1 for run in read_store(files / "three.h5")] == [True] * 3


def test_resume_extends(files: Path) -> None:
    common = ["--temperature", "300", "-o", "t.h5", "--no-guards", "--save-every", "20fs"]

    assert _run("--duration", "100fs", *common).exit_code == 0
    result = _run("--duration", "200fs", *common, "--resume")
    assert "nothing was left to do" not in result.output
    again = _run("--duration", "200fs", *common, "--resume")
    assert again.exit_code == 0
    assert "nothing was left to do" in again.output

    assert result.exit_code == 0, result.output
    assert [len(t) for t in read_store(files / "t.h5")] == [11]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--duration", "1ns"], "ensemble nvt needs a temperature in K"),
        (["--duration", "soon", "--temperature", "300"], "'soon' is not a duration"),
        (["--duration", "1ps", "--temperature", "300", "--interval", "50fs"], "forecasts 0 to 20 fs ahead, not 25 fs"),
        (
            ["--duration", "1ps", "--temperature", "300", "--propagator", "magic"],
            "propagator: input should be 'auto', 'direct', 'reversible' or 'window'",
        ),
        (["--duration", "1ps", "--ensemble", "nve"], "the start has no velocities"),
        (
            ["--duration", "1ps", "--ensemble", "nve", "--temperature", "300", "--thermostat", "csvr", "--thermostat-time", "1ps"],
            "so thermostat (csvr) and thermostat_time (1000 fs) would change nothing; leave it out, or give equilibration",
        ),
    ],
)
@pytest.mark.usefixtures("files")
def test_wrong_options_raise_one_sentence_for_the_command_line(arguments: list[str], sentence: str) -> None:
    result = _run("-o", "t.h5", *arguments)

    assert isinstance(result.exception, ForcefreeError)
    assert sentence in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not Path("t.h5").exists()


@pytest.mark.usefixtures("files")
def test_an_interruption_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from forcefree.simulation.engine import Engine

    step, taken = Engine.step, []

    def interrupted(self: Engine, times=None):
        taken.append(1)
        if len(taken) == 3:
            raise KeyboardInterrupt
        return step(self, times)

    common = ["--duration", "200fs", "--temperature", "300", "-o", "t.h5", "--no-guards"]
    monkeypatch.setattr(Engine, "step", interrupted)
    result = _run(*common)
    assert result.exit_code == 130
    assert "go on with the same command and --resume" in result.output

    monkeypatch.setattr(Engine, "step", step)
    assert _run(*common, "--resume").exit_code == 0
    assert [len(t) for t in read_store(Path("t.h5"))] == [3]


def test_help_shows_examples() -> None:
    result = CliRunner().invoke(app, ["--help"])

    said = " ".join(result.output.split())
    assert "forcefree simulate trajcast-ethanol ethanol --temperature 300" in said
    assert "forcefree simulate trajcast-ethanol traj.h5 --ensemble nve --duration 50ps -o nve.h5" in said


def test_production_follows_equilibration_as_the_help_shows(files: Path) -> None:
    common = ("--duration", "60fs", "--save-every", "20fs", "--no-guards")
    assert _run("--temperature", "300", "-o", "nvt.h5", "--replicas", "2", *common).exit_code == 0

    result = CliRunner().invoke(app, ["springs.safetensors", "nvt.h5", "--ensemble", "nve", "-o", "nve.h5", *common])

    assert result.exit_code == 0, result.output
    for before, after in zip(read_store(files / "nvt.h5"), read_store(files / "nve.h5"), strict=True):
        np.testing.assert_array_equal(after.positions[0], before.positions[-1])


@pytest.mark.parametrize(
    ("good", "options", "sentence"),
    [
        (60.0, [], "the only replica was stopped after 0.06 ps; "),
        (60.0, ["--replicas", "2"], "all 2 replicas were stopped, the last after 0.06 ps; "),
        (-60.0, ["--equilibration", "100fs"], "the only replica was stopped while equilibrating; "),
    ],
)
@pytest.mark.usefixtures("files")
def test_a_run_without_a_survivor_says_how_far_it_came_and_fails(
    monkeypatch: pytest.MonkeyPatch, good: float, options: list[str], sentence: str
) -> None:
    departures = Springs.departures

    def lost(self: Springs, history: tuple, times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        positions, velocities = departures(self, history, times)
        return (positions * torch.nan if float(history[-1].time.max()) >= good else positions), velocities

    monkeypatch.setattr(Springs, "departures", lost)
    common = ["--temperature", "300", "--duration", "1ns", "-o", "t.h5", "--save-every", "20fs", "--propagator", "direct", *options]

    for resume in ([], ["--resume"]):
        result = _run(*common, *resume)
        assert result.exit_code == 1, result.output
        left = "frames until then in t.h5" if good > 0.0 else "no frame was recorded"
        wanted = f"{sentence}this is probably not a molecule or geometry that springs.safetensors was trained on; {left}, log in t.csv"
        assert result.stderr.splitlines()[-1] == wanted
        assert "nothing was left to do" not in result.output
    assert {len(t) for t in read_store(Path("t.h5"))} == ({4} if good > 0.0 else set())


def test_a_tolerance_reaches_the_engine_and_a_model_without_an_energy_head_says_so(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--temperature", "300", "--duration", "0.1ps", "-o", "t.h5", "--no-guards", "--tolerance", "1e-7", "--halvings", "2")
    refused = _run(*options)
    assert isinstance(refused.exception, ForcefreeError)
    assert "a tolerance needs a model with an energy head, and springs has none" in str(refused.exception)
    monkeypatch.setattr("oracles.Springs.knows_energy", True)
    result = _run(*options)
    assert result.exit_code == 0, result.output
    assert "segments were done again in halves" in result.output
    assert "of the shortest, 5 fs, were still beyond the tolerance" in result.output
    assert "total energy by the energy head: " in result.output
