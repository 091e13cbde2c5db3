"""GF-NODE through the same training as every other forecaster."""

from __future__ import annotations

from pathlib import Path

import pytest

from forcefree.data.trajectory import Trajectory
from forcefree.models.files import load
from forcefree.training.config import TrainingConfig
from forcefree.training.report import error_table
from forcefree.training.run import train
from forcefree.training.windows import WindowSource

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("ode", ["oscillator", "learned"])
def test_it_beats_free_flight_on_held_out_runs(store: Path, tmp_path: Path, trajectories: list[Trajectory], ode: str) -> None:
    values = {
        "data": {"files": [str(store)], "validation_fraction": 0.2},
        "model": {
            "name": "tiny",
            "architecture": "gfnode",
            "t_max": 5.0,
            "cutoff": 4.0,
            "options": {"channels": 8, "layers": 1, "filter_width": 8, "ode": ode, "steps": 4},
        },
        "optimizer": {"steps": 180, "warmup": 10, "batch": 24, "learning_rate": 0.02, "ema": 0.9},
        "validation": {"every": 60, "windows": 32, "rollouts": 4, "segments": 2},
        "output": str(tmp_path / "m.safetensors"),
    }
    model = load(train(TrainingConfig.parse(values, "test"), progress=False))
    row = error_table(model, WindowSource(trajectories, 5.0).draw(64, 0))[-1]
    assert row["position_pm"] < 0.5 * row["free_flight_pm"]
    assert row["velocity_percent"] < 0.5 * row["free_flight_velocity_percent"]


def test_vibrations_about_a_reference_start_from_the_training_data(store: Path, tmp_path: Path, trajectories: list[Trajectory]) -> None:
    rest = [[0.96, 0.0, 0.0], [0.0, 0.0, 0.0], [-0.24, 0.93, 0.0]]
    values = {
        "data": {"files": [str(store)], "validation_fraction": 0.2},
        "model": {
            "name": "tiny",
            "architecture": "gfnode",
            "t_max": 20.0,
            "cutoff": 4.0,
            "options": {"network": False, "relaxations": 2, "reference": {"numbers": [1, 8, 1], "positions": rest}},
        },
        "optimizer": {"steps": 60, "warmup": 5, "batch": 24, "learning_rate": 0.01, "ema": 0.9},
        "validation": {"every": 30, "windows": 32, "rollouts": 4, "segments": 2},
        "output": str(tmp_path / "m.safetensors"),
    }
    model = load(train(TrainingConfig.parse(values, "test"), progress=False))
    row = error_table(model, WindowSource(trajectories, 20.0).draw(64, 0))[-1]
    assert row["position_pm"] < 0.5 * row["free_flight_pm"]
    vibrations = model.reference.shapes[0].vibrations
    assert abs(float(vibrations.size) - 0.1) > 1e-3, "its unit is that of the data"
    assert model.card.options["reference"]["positions"] == rest
