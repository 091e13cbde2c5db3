"""What watches a training: which validation is kept, and when both errors have stalled."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

from forcefree.errors import ForcefreeError
from forcefree.training.callbacks import KeepBest, StopWhenBothStall, StopWhenDiverged


@dataclass
class Trainer:
    """As much of Lightning's as callbacks touch; remembers the error at which a checkpoint was written."""

    sanity_checking: bool = False
    should_stop: bool = False
    global_step: int = 0
    strategy: Any = field(default_factory=SingleDeviceStrategy)
    callback_metrics: dict[str, float] = field(default_factory=dict)
    saved: list[float] = field(default_factory=list)

    def save_checkpoint(self, path: Path) -> None:
        assert path.name == "best.ckpt"
        self.saved.append(self.callback_metrics["val_one_step"])

    def validate(self, callback: Any, one_step: float, rollout: float = 1.0) -> None:
        self.callback_metrics = {"val_one_step": one_step, "val_rollout": rollout}
        callback.on_validation_end(self, None)


@pytest.mark.parametrize(
    ("errors", "kept"),
    [
        ([0.5, 0.4, 0.6, 0.3, 0.35], [0.5, 0.4, 0.3]),
        ([math.nan, 0.7, math.nan, 0.7, 0.6], [0.7, 0.6]),
        ([math.inf, math.nan], []),
    ],
)
def test_each_checkpoint_is_better_than_all_before(errors: list[float], kept: list[float]) -> None:
    trainer, keep = Trainer(), KeepBest(Path("best.ckpt"))
    for error in errors:
        trainer.validate(keep, error)
    assert trainer.saved == kept


def test_the_best_error_is_known_after_a_restart() -> None:
    trainer, keep = Trainer(), KeepBest(Path("best.ckpt"))
    trainer.validate(keep, 0.2)
    again = KeepBest(Path("best.ckpt"))
    again.load_state_dict(keep.state_dict())
    trainer.validate(again, 0.3)
    trainer.validate(again, 0.1)
    assert trainer.saved == [0.2, 0.1]


@pytest.mark.parametrize("callback", [KeepBest(Path("best.ckpt")), StopWhenBothStall(patience=1)])
def test_a_rehearsal_before_training_counts_for_nothing(callback: Any) -> None:
    trainer = Trainer(sanity_checking=True)
    trainer.validate(callback, 0.1)
    trainer.validate(callback, 0.1)
    assert trainer.saved == []
    assert not trainer.should_stop


def test_errors_that_are_no_numbers_count_as_no_improvement() -> None:
    trainer, stop = Trainer(), StopWhenBothStall(patience=2)
    trainer.validate(stop, 1.0, math.nan)
    trainer.validate(stop, math.nan, math.nan)
    assert not trainer.should_stop
    trainer.validate(stop, math.nan, math.inf)
    assert trainer.should_stop


def test_an_improvement_too_small_to_matter_does_not_keep_a_training_alive() -> None:
    trainer, stop = Trainer(), StopWhenBothStall(patience=3, improvement=1e-3)
    for step in range(4):
        trainer.validate(stop, 1.0 - 1e-4 * step)
    assert trainer.should_stop


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_or_an_error_that_is_no_number_ends_the_training_with_the_step(value: float) -> None:
    trainer, stop = Trainer(global_step=7), StopWhenDiverged("take smaller steps")
    for finite in (1.0, 1e30):
        stop.on_train_batch_end(trainer, None, {"loss": torch.tensor(finite)}, None, 0)
        trainer.validate(stop, finite, math.nan)
    with pytest.raises(ForcefreeError, match=r"training diverged: the loss was not a finite number at step 7, .*; take smaller steps"):
        stop.on_train_batch_end(trainer, None, {"loss": torch.tensor(value)}, None, 0)
    with pytest.raises(ForcefreeError, match="the error on held-out windows was not a finite number at step 7"):
        trainer.validate(stop, value)
