"""Stopping when neither error improves, and the checkpoint that a killed training continues from."""

from __future__ import annotations

import math
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar


class StopWhenBothStall(Callback):  # type: ignore[misc]
    """Stop after ``patience`` validations in which neither the one-step nor the rollout error got better.

    Args:
        patience: Validations.
        improvement: Relative improvement that counts.
    """

    def __init__(self, patience: int, improvement: float = 1e-3) -> None:
        self._patience, self._improvement = patience, improvement
        self.best = {"val_one_step": math.inf, "val_rollout": math.inf}
        self.stalled = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Compare with the best so far."""
        if trainer.sanity_checking:
            return
        better = False
        for name, best in self.best.items():
            value = float(trainer.callback_metrics[name])
            if not math.isfinite(value):
                continue
            if value < best * (1.0 - self._improvement):
                self.best[name] = value
                better = True
        self.stalled = 0 if better else self.stalled + 1
        if self.stalled >= self._patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"best": self.best, "stalled": self.stalled}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.best, self.stalled = dict(state_dict["best"]), int(state_dict["stalled"])


class ErrorBar(TQDMProgressBar):  # type: ignore[misc]
    """Progress with the errors alone, without the version number of the log folder."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """What the bar shows."""
        shown: dict[str, Any] = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        return shown
