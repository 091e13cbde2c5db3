"""How far forecast frames are from the true ones: per step, over the whole forecast, and with rigid motion taken out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from forcefree.state import State


@dataclass(frozen=True)
class ForecastErrors:
    """Errors of a forecast, per step.

    Attributes:
        absolute: Mean absolute error of a coordinate, Å, shape (n_steps,).
        square: Mean squared error of a coordinate, Å^2, shape (n_steps,).
        displacement: Mean distance of an atom from its true place, Å, shape (n_steps,).
    """

    absolute: Tensor
    square: Tensor
    displacement: Tensor

    @classmethod
    def of(cls, forecast: Tensor, truth: Tensor) -> ForecastErrors:
        """Compare positions in Å, both of shape (n_steps, n_atoms, 3)."""
        error = forecast - truth
        return cls(error.abs().mean(dim=(1, 2)), error.square().mean(dim=(1, 2)), error.norm(dim=-1).mean(dim=1))

    def mae(self, step: int) -> float:
        """Mean absolute error at a step counted from one, Å."""
        return float(self.absolute[step - 1])

    def rmse(self, step: int) -> float:
        """Root mean square error at a step counted from one, Å."""
        return float(self.square[step - 1].sqrt())

    def ade(self, steps: int) -> float:
        """Average displacement error: mean over atoms and the first ``steps`` steps, Å."""
        return float(self.displacement[:steps].mean())

    def fde(self, steps: int) -> float:
        """Final displacement error: mean over atoms at step ``steps``, Å."""
        return float(self.displacement[steps - 1])


def aligned(forecast: Tensor, truth: Tensor, state: State) -> Tensor:
    """Forecast frames laid on the true ones by the best rotation and translation of every system.

    Source: Kabsch, Acta Cryst. A 32, 922 (1976); no reflections.

    Args:
        forecast: Å, shape (n_steps, n_atoms, 3).
        truth: Å, shape (n_steps, n_atoms, 3).
        state: Which atom belongs to which system.

    Returns:
        Å, shape (n_steps, n_atoms, 3).
    """
    centred, centre = zip(*(_centred(frames, state) for frames in (forecast, truth)), strict=True)
    products = centred[0][..., :, None] * centred[1][..., None, :]
    covariance = torch.stack([state.sum(frame) for frame in products])
    left, _, right = torch.linalg.svd(covariance)
    sign = torch.ones(*covariance.shape[:2], 3, dtype=forecast.dtype)
    sign[..., 2] = torch.sign(torch.linalg.det(left @ right))
    rotation = (left * sign[..., None, :]) @ right
    laid: Tensor = torch.einsum("tai,taij->taj", centred[0], rotation[:, state.system]) + centre[1]
    return laid


def _centred(frames: Tensor, state: State) -> tuple[Tensor, Tensor]:
    """Frames minus the mean position of each system, and that mean, both (n_steps, n_atoms, 3)."""
    mean = torch.stack([state.sum(frame) for frame in frames]) / state.sizes[:, None]
    centre = mean[:, state.system]
    return frames - centre, centre
