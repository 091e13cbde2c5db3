"""The Lightning module: loss, optimizer, schedule, and the two errors that validation watches."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from forcefree.models.forecaster import Forecaster
from forcefree.training.blocks import parameter_groups
from forcefree.training.config import TrainingConfig
from forcefree.training.loss import Scales, unrolled_loss
from forcefree.training.potential import PotentialScales, potential_errors, potential_loss
from forcefree.training.windows import Windows


class ForecasterModule(LightningModule):  # type: ignore[misc]
    """Trains one forecaster.

    Args:
        model: What is trained.
        config: Optimizer, schedule and unrolling.
        scales: Units of the errors.
        rollout: Held-out windows several forecasts long, for the rollout error.
        potential: Units of the errors of an energy head, None where none is trained.
    """

    def __init__(
        self, model: Forecaster, config: TrainingConfig, scales: Scales, rollout: Windows, potential: PotentialScales | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self._config, self._scales, self._rollout, self._potential = config, scales, rollout, potential
        learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        self._forecasts = not learning or any(not name.startswith("energy.") for name in learning)

    def on_train_start(self) -> None:
        """Compile the network where that was asked for, after Lightning has copied the module."""
        network = getattr(self.model, "network", None)
        if self._config.compile and isinstance(network, torch.nn.Module):
            network.compile(dynamic=True)  # the number of pairs changes from batch to batch

    def training_step(self, batch: Windows, batch_idx: int) -> Tensor:  # noqa: ARG002 (Lightning's signature)
        """Loss of one batch; its square root is the relative error that the progress bar shows.

        Where all but the energy head is frozen nothing is forecast, and the error shown is that of the head.
        """
        config = self._config
        potential = self._potential_loss(batch)
        forecast: Tensor | float = 0.0
        if self._forecasts:
            forecast = unrolled_loss(
                self.model, batch, self._scales, config.unroll, config.energy_weight, config.reversal_weight, own_past=config.own_past
            )
        loss = torch.as_tensor(forecast + potential)
        shown = torch.as_tensor(forecast if self._forecasts else potential)
        self.log("error", shown.detach().sqrt(), prog_bar=True, on_step=True, on_epoch=False, batch_size=1)
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"], batch_size=1)
        return loss

    def validation_step(self, batch: Windows, batch_idx: int) -> None:  # noqa: ARG002 (Lightning's signature)
        """One-step error on held-out windows, with what else is trained (going back, energy), and error after a short rollout."""
        one_step = unrolled_loss(self.model, batch, self._scales, reversal_weight=self._config.reversal_weight)
        self.log("val_one_step", (one_step + self._potential_loss(batch)).sqrt(), prog_bar=True, batch_size=1)
        errors = one_step_errors(self.model, batch) | ({} if self._potential is None else potential_errors(self.model, batch))
        for name, value in errors.items():
            self.log(name, value, batch_size=1)
        self.log("val_rollout", rollout_error(self.model, self._rollout.to(self.device)), prog_bar=True, batch_size=1)

    def _potential_loss(self, batch: Windows) -> Tensor | float:
        """Weighted error of the energy head, where one is trained."""
        if self._potential is None:
            return 0.0
        return self._config.potential_weight * potential_loss(self.model, batch, self._potential)

    def transfer_batch_to_device(self, batch: Windows, device: torch.device, dataloader_idx: int) -> Windows:  # noqa: ARG002
        """Move a batch, float64 states included."""
        return batch.to(device)

    def configure_optimizers(self) -> Any:
        """The optimizer, with a learning rate that warms up and then falls along a cosine."""
        options = self._config.optimizer
        groups = parameter_groups(self.model, options.learning_rate, self._config.rate_factors)
        optimizer: torch.optim.Optimizer
        if options.name == "soap":
            from pytorch_optimizer import SOAP

            optimizer = SOAP(groups, lr=options.learning_rate, weight_decay=0.0)
        else:
            optimizer = torch.optim.Adam(groups, lr=options.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        options = self._config.optimizer
        rise = min(1.0, (step + 1) / options.warmup)
        return rise * (0.5 * (1.0 + math.cos(math.pi * min(1.0, step / options.steps))) + 2e-3)


def one_step_errors(model: Forecaster, windows: Windows) -> dict[str, Tensor]:
    """Mean absolute errors at the end of the first forecast.

    Returns:
        ``val_position_mae`` in Å and ``val_velocity_percent``, relative to the root mean square velocity.
    """
    with torch.no_grad():
        predicted = model.conserving_departures(windows.history, windows.times)
    positions, velocities = windows.departures()
    rms = windows.velocities[-1].square().mean().sqrt()
    return {
        "val_position_mae": (positions[-1] - predicted.positions[-1]).abs().mean(),
        "val_velocity_percent": 100.0 * (velocities[-1] - predicted.velocities[-1]).abs().mean() / rms,
    }


def rollout_error(model: Forecaster, windows: Windows) -> Tensor:
    """Velocity error at the end of a rollout, root mean square over that of the true velocities.

    Args:
        model: A forecaster of any history length.
        windows: A whole number of forecasts long.
    """
    spacing = float(windows.times[0, 0])
    per_segment = round(model.card.t_max / spacing)
    history = windows.history
    with torch.inference_mode():
        for _ in range(len(windows.times) // per_segment):
            frames = model.forecast(history, windows.times[:per_segment])
            states = [frames.state(index, history[-1]) for index in range(per_segment)]
            history = (*history, *states)[-len(history) :]
        error = history[-1].velocities - windows.velocities[-1]
    return (error.square().mean() / windows.velocities[-1].square().mean()).sqrt()
