"""``forcefree benchmark materials`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import copper
from forcefree.cli.main import app
from forcefree.models.card import Card
from forcefree.models.files import save_model
from forcefree.models.registry import build_model, find_architecture


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Held-out runs, a reference and a model that hardly differs from straight flight."""
    folder = tmp_path_factory.mktemp("materials")
    copper.store(folder / "held-out.h5", copper.runs(2, 60))
    copper.store(folder / "reference.h5", copper.runs(4, 60, every=5, ensemble="nvt"))
    torch.manual_seed(0)
    card = Card(
        name="copper", model="trajcast", options={"channels": 8, "layers": 1, "refinements": 0}, species=[29], t_max=10.0, cutoff=4.0
    )
    model = build_model(card)
    model.set_scales(torch.full((1,), 1e-6), torch.full((1,), 1e-6))
    save_model(model, folder / "copper.safetensors")
    return folder


def run(files: Path, output: Path, *words: str) -> dict[str, dict[str, object]]:
    result = CliRunner().invoke(
        app, ["benchmark", "materials", "copper", "--model", str(files / "copper.safetensors"), "--output", str(output), *words]
    )
    assert result.exit_code == 0, result.output
    return {row["figure"]: row for row in json.loads(output.read_text(encoding="utf-8"))}


def test_single_steps_and_pursuit_stand_beside_straight_flight(files: Path, tmp_path: Path) -> None:
    peer = tmp_path / "same.yaml"
    peer.write_text(
        "calculator: {name: emt}\nstart: {name: Cu}\ntemperatures: [300]\ntimestep: 2 fs\nrecording: {every: 2 fs}\noutput: x.h5\n"
    )
    rows = run(
        files, tmp_path / "m.json", "--held-out", str(files / "held-out.h5"), "--time", "10", "--windows", "8", "--pursuit", "40fs",
        "--propagator", "direct:10", "--peer", str(peer),
    )  # fmt: skip
    same = rows["peer, same: relative velocity MAE at 10 fs"]["measured"]
    assert isinstance(same, float)
    assert same < 1e-6
    ours = rows["copper: relative velocity MAE at 10 fs"]["measured"]
    blind = rows["no skill, free flight: relative velocity MAE at 10 fs"]["measured"]
    best = rows["reference at half its time step (1 fs): relative velocity MAE at 10 fs"]["measured"]
    assert isinstance(ours, float)
    assert isinstance(best, float)
    assert ours == pytest.approx(blind, rel=1e-3)
    assert best < 0.05 * ours
    parted = rows["0.04 ps from held-out frames, direct 10 fs: distance from the true atom at the end, rms"]
    flown = rows["0.04 ps from held-out frames, no skill, free flight: distance from the true atom at the end, rms"]
    assert parted["measured"] == pytest.approx(flown["measured"], rel=1e-3)
    assert parted["seeds"] == 4


def test_a_model_of_two_frames_is_followed_from_both(files: Path, tmp_path: Path) -> None:
    options = {"channels": 8, "layers": 1, "refinements": 0, "past": 2.0}
    timing = find_architecture("trajcast").timing(options, 10.0)
    card = Card(name="two", model="trajcast", options=options, species=[29], t_max=10.0, cutoff=4.0, **timing)
    model = build_model(card)
    for readout in model.network.readouts.parameters():
        readout.data.zero_()
    save_model(model, tmp_path / "two.safetensors")
    words = ["benchmark", "materials", "copper", "--model", str(tmp_path / "two.safetensors"), "--output", str(tmp_path / "two.json")]
    held_out = ["--held-out", str(files / "held-out.h5"), "--time", "4", "--windows", "8", "--pursuit", "40fs"]
    result = CliRunner().invoke(app, [*words, *held_out, "--propagator", "window:4"])
    assert result.exit_code == 0, result.output
    rows = {row["figure"]: row["measured"] for row in json.loads((tmp_path / "two.json").read_text(encoding="utf-8"))}
    step = "relative velocity MAE at 4 fs"
    assert rows[f"two: {step}"] < 0.2 * rows[f"no skill, free flight: {step}"]
    away = "distance from the true atom at the end, rms"
    label = "0.04 ps from held-out frames"
    assert rows[f"{label}, window 4 fs: replicas lost"] == 0
    assert rows[f"{label}, window 4 fs: {away}"] < rows[f"{label}, no skill, free flight: {away}"]
    refused = CliRunner().invoke(app, [*words, "--reference", str(files / "reference.h5")])
    assert refused.exit_code == 2
    assert "two starts from 2 frames; give it --held-out runs alone" in refused.stderr
    coarse = CliRunner().invoke(app, [*words, "--held-out", str(files / "reference.h5")])
    assert coarse.exit_code == 2
    assert "two starts from 2 frames 2 fs apart; this benchmark is for models of one frame" in coarse.stderr


def test_averages_and_sizes(files: Path, tmp_path: Path) -> None:
    rows = run(
        files, tmp_path / "m.json", "--reference", str(files / "reference.h5"), "--propagator", "direct:5", "--duration", "200fs",
        "--cells", "1", "--cells", "2",
    )  # fmt: skip
    assert rows["4 x 0.2 ps at 300 K, direct 5 fs: replicas lost"]["unit"] == "of 4"
    assert rows["256 atoms, direct 5 fs: speed by processor time"]["unit"] == "ns/day"
    assert "256 atoms, force network, 2 fs: speed by processor time" in rows


def test_sizes_need_nothing_but_a_structure(files: Path, tmp_path: Path) -> None:
    start = tmp_path / "cell.xyz"
    copper.crystal().write(start)
    rows = run(
        files, tmp_path / "m.json", "--cells", "1", "--start", str(start), "--timestep", "1fs", "--propagator", "direct:5",
        "--propagator", "reversible:10:1",
    )  # fmt: skip
    assert rows["32 atoms, direct 5 fs: over the force network"]["unit"] == "x"
    assert "32 atoms, reversible 10 fs, 1 correction(s): speed by processor time" in rows
    assert not any("replicas lost" in figure for figure in rows)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "nothing to compare with; give --held-out runs, a --reference, or --cells and a --start"),
        (["--held-out", "held-out.h5", "--time", "7"], "a forecast of 7 fs cannot be judged by frames that are 2 fs apart"),
        (["--held-out", "held-out.h5", "--time", "20"], "copper forecasts up to 10 fs, not 20 fs; ask for shorter times"),
        (["--held-out", "held-out.h5", "--pursuit", "1ns"], "no held-out run lasts 1e+06 fs"),
        (["--held-out", "held-out.h5", "--pursuit", "8fs"], "8 fs of frames 2 fs apart cannot be followed in steps of 10 fs"),
        (["--held-out", "held-out.h5", "--peer", "none.yaml"], "none.yaml"),
        (["--reference", "reference.h5", "--propagator", "direct"], "a propagator is given as direct:10"),
        (["--reference", "reference.h5", "--propagator", "direct:0"], "interval in fs), not 'direct:0'"),
        (["--cells", "1", "--start", "quartz", "--propagator", "dirct:10"], "propagator 'dirct' is unknown; there are direct, reversible"),
        (
            ["--held-out", "held-out.h5", "--time", "4", "--pursuit", "40fs", "--propagator", "direct:20"],
            "copper forecasts 0 to 10 fs ahead, not 20 fs",
        ),
        (["--reference", "reference.h5", "--propagator", "direct:10:2"], "corrections (2) belong to the reversible propagator"),
        (["--reference", "missing.h5"], "missing.h5"),
        (["--held-out", "held-out.h5", "--rollouts", "kept"], "only canonical rollouts are kept in kept; give the --reference"),
        (["--large", "2", "--held-out", "held-out.h5"], "a larger cell needs canonical runs of a periodic system"),
        (["--cells", "2", "--start", "ethanol"], "the start 'ethanol' is not periodic in three directions"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(files: Path, tmp_path: Path, words: list[str], sentence: str) -> None:
    placed = [str(files / word) if word.endswith(".h5") else word for word in words]
    output = tmp_path / "m.json"
    result = CliRunner().invoke(
        app, ["benchmark", "materials", "copper", "--model", str(files / "copper.safetensors"), "--output", str(output), *placed]
    )
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not output.exists()


@pytest.mark.parametrize(("device", "words"), [("gpu", "cannot be used here"), ("meta", "not on 'meta'")])
def test_a_device_that_is_not_there_is_refused_before_anything_is_measured(files: Path, tmp_path: Path, device: str, words: str) -> None:
    result = CliRunner().invoke(
        app,
        [
            "benchmark",
            "materials",
            "copper",
            "--model",
            str(files / "none.safetensors"),
            "--cells",
            "1",
            "--start",
            "quartz",
            "--device",
            device,
        ],
    )
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
