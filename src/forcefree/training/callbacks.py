"""What watches a training: stopping when it diverges or neither error improves, the best weights so far, and the progress bar."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from torch import Tensor

from forcefree.errors import ForcefreeError

_LOOK = 50
"""Steps between two looks at the loss on a GPU, which would wait for every one."""


class StopWhenDiverged(Callback):  # type: ignore[misc]
    """End a training whose loss or one-step error is no longer a finite number; nothing heals the weights after that.

    Args:
        cure: End of the sentence that says what to do.
    """

    def __init__(self, cure: str) -> None:
        self._cure = cure

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Look at the loss.

        Raises:
            ForcefreeError: Naming the step by which it was not finite.
        """
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor) and (loss.device.type == "cpu" or trainer.global_step % _LOOK == 0):
            self._check(float(trainer.strategy.reduce(loss.detach().clone())), "loss", trainer.global_step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Look at the one-step error.

        Raises:
            ForcefreeError: Naming the step by which it was not finite.
        """
        if not trainer.sanity_checking:
            self._check(_agreed(trainer, "val_one_step"), "error on held-out windows", trainer.global_step)

    def _check(self, value: float, noun: str, step: int) -> None:
        if not math.isfinite(value):
            raise ForcefreeError(
                f"training diverged: the {noun} was not a finite number at step {step}, so no model is written; {self._cure}"
            )


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
            value = _agreed(trainer, name)
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


class KeepBest(Callback):  # type: ignore[misc]
    """Keep a checkpoint of the validation with the smallest one-step error.

    A training that is killed between this checkpoint and the next one to continue from repeats the same steps, and
    writes this one again.

    Args:
        path: The checkpoint file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.error = math.inf

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Write the checkpoint where the error is smaller than ever before."""
        if trainer.sanity_checking:
            return
        error = _agreed(trainer, "val_one_step")
        if error < self.error:
            self.error = error
            trainer.save_checkpoint(self._path)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"error": self.error}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.error = float(state_dict["error"])


class ErrorBar(TQDMProgressBar):  # type: ignore[misc]
    """Progress with the errors alone, without the version number of the log folder."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """What the bar shows."""
        shown: dict[str, Any] = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        return shown


def _agreed(trainer: Trainer, name: str) -> float:
    """A validation error as the first device has it, so that all devices decide alike."""
    return float(trainer.strategy.broadcast(float(trainer.callback_metrics[name])))
