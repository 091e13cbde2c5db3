"""``forcefree train`` from the command line; the training itself is tested in its own room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from forcefree.cli.main import app
from forcefree.models.card import Card

CONFIG = """
data: {files: [water.h5]}
model: {name: water}
optimizer: {steps: 300}
output: water.safetensors
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a configuration."""
    (tmp_path / "train.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    end_with(monkeypatch, 0.1)
    return tmp_path


def end_with(monkeypatch: pytest.MonkeyPatch, one_step: float) -> None:
    """Let the model that was trained have a one-step error."""
    validation = {"val_position_mae": 0.00123, "val_velocity_percent": 4.567, "val_one_step": one_step, "val_rollout": 0.5}
    card = Card(name="water", model="trajcast", species=[1, 8], t_max=10.0, cutoff=6.0, training={"validation": validation})
    monkeypatch.setattr("forcefree.models.files.read_card", lambda _: card)


def test_options_reach_the_training_and_the_end_says_what_is_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def train(config: Any, *, resume: bool, progress: bool) -> Path:
        seen.update(steps=config.optimizer.steps, resume=resume, progress=progress)
        return config.output  # type: ignore[no-any-return]

    monkeypatch.setattr("forcefree.training.run.train", train)
    result = CliRunner().invoke(app, ["train", "train.yaml", "--resume", "--no-progress"])
    assert result.exit_code == 0, result.stderr
    assert seen == {"steps": 300, "resume": True, "progress": False}
    assert result.stdout.startswith("model: water.safetensors\nlogs and training report: water.training\n")
    assert "held out, 10 fs ahead: positions 0.00123 Å, velocities 4.57 %, val_one_step 0.1\n" in result.stdout
    assert "forcefree simulate water.safetensors START" in result.stdout
    assert not result.stderr


@pytest.mark.parametrize(("one_step", "warned"), [(0.89, False), (0.9, True), (1.2, True)])
def test_a_model_that_is_no_better_than_free_flight_is_warned_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch, one_step: float, warned: bool
) -> None:
    monkeypatch.setattr("forcefree.training.run.train", lambda config, **_: config.output)
    end_with(monkeypatch, one_step)
    result = CliRunner().invoke(app, ["train", "train.yaml", "--no-progress"])
    assert result.exit_code == 0
    assert result.stderr.startswith(f"warning: val_one_step of {one_step:g} is hardly better than free flight") is warned
    assert result.stderr.count("\n") == warned


def test_a_model_to_start_from_reaches_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("forcefree.training.run.train", lambda config, **_: seen.append(config) or config.output)
    result = CliRunner().invoke(app, ["train", "train.yaml", "--from", "trajcast-ethanol", "--no-progress"])
    assert result.exit_code == 0, result.stderr
    assert seen[0].initial == Path("trajcast-ethanol")
    assert seen[0].optimizer.steps == 300


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("steps: 300|step: 300", "train.yaml: optimizer.step: is not an option here"),
        ("water.safetensors|water.pt", "output must end in .safetensors, not 'water.pt'"),
        ("files: [water.h5]|files: []", "data.files: list should have at least 1 item"),
        ("steps: 300|steps: 300", "water.h5 does not exist"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(folder: Path, change: str, sentence: str) -> None:
    (folder / "train.yaml").write_text(CONFIG.replace(*change.split("|")))
    result = CliRunner().invoke(app, ["train", "train.yaml", "--no-progress"])
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_store_that_is_cut_off_is_one_sentence(folder: Path) -> None:
    (folder / "water.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    result = CliRunner().invoke(app, ["train", "train.yaml", "--no-progress"])
    assert result.exit_code == 2
    assert "water.h5" in result.stderr
    assert result.stderr.count("\n") == 1
