"""The first frames of four molecules of the chemical-space set: different sizes in one batch, split by molecule, trained end to end.

``chemical-space.h5`` has frames 0 to 60 of the 400 K runs of C2H2, C2H4, C2H6 and CH2OCH2 of ``examples/chemical-space/reference.yaml``,
compressed by ``forcefree.data.compact``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forcefree.data.h5md import read_store
from forcefree.models.files import load
from forcefree.training.config import TrainingConfig
from forcefree.training.molecules import molecule_of, without
from forcefree.training.report import error_table
from forcefree.training.run import train
from forcefree.training.splits import split
from forcefree.training.windows import WindowSource

pytestmark = pytest.mark.filterwarnings("ignore")
SAMPLE = Path(__file__).parent / "chemical-space.h5"
OPTIONS: dict[str, Any] = {"channels": 16, "matrix_channels": 4, "heads": 2, "layers": 1, "refinements": 1, "nodes": 3, "filter_width": 16}


def test_a_batch_mixes_molecules_of_different_sizes() -> None:
    runs = list(read_store(SAMPLE))
    windows = WindowSource(runs, 10.0).draw(32, 0)
    sizes = {len(run.numbers) for run in runs}
    assert sizes == {4, 6, 7, 8}
    assert set(windows.history[0].sizes.tolist()) == sizes
    assert windows.positions.shape == (10, int(windows.history[0].sizes.sum()), 3)


def test_attention_learns_several_molecules_at_once_and_never_sees_the_excluded_one(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "data": {"files": [str(SAMPLE)], "exclude": ["C2H6"], "split": "molecule", "validation_fraction": 0.3},
        "model": {"name": "tiny", "architecture": "mdtrajnet", "t_max": 5.0, "cutoff": 5.0, "options": OPTIONS},
        "optimizer": {"steps": 240, "warmup": 20, "batch": 16, "learning_rate": 0.01, "ema": 0.9},
        "validation": {"every": 80, "windows": 32, "rollouts": 4, "segments": 2},
        "output": str(tmp_path / "tiny.safetensors"),
    }
    config = TrainingConfig.parse(values, "test")
    model = load(train(config, progress=False))
    assert model.card.training["trajectories"] == 3
    assert model.card.training["config"]["data"]["exclude"] == ["C2H6"]
    assert model.card.species == [1, 6, 8]
    trained = without(list(read_store(SAMPLE)), ["C2H6"])
    assert {molecule_of(run) for run in trained} == {"C2H2", "C2H4", "CH2OCH2"}
    learnt, _ = split(trained, config.data, config.seed)
    row = error_table(model, WindowSource(learnt, 5.0).draw(64, 0))[-1]
    assert row["position_pm"] < 0.5 * row["free_flight_pm"]
    assert row["velocity_percent"] < 0.5 * row["free_flight_velocity_percent"]
