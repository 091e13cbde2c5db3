"""By which error a model of the MD17 table is trained, and its weights chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from forcefree.benchmark.alignment import squared_errors
from forcefree.benchmark.md17_tasks import Task
from forcefree.benchmark.no_skill import mean_shape
from forcefree.models.forecaster import Forecaster
from forcefree.nn.flight import positions_alone
from forcefree.state import State

Judged = Literal["raw", "superposed", "both"]
"""As published, after superposition of each frame, or by the sum of the two in units of the mean shape's."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""From forecast and true positions, Å, both of shape (n_times, n_systems * n_atoms, 3), to a scalar."""


def loss_of(judged: Judged, train: Task) -> Loss:
    """The loss of a training.

    The error as it lies is least for a mean over orientations that are not known, which is no molecule; the superposed
    one does not ask where the molecule points. Their sum in units of what the mean shape on the start reaches at the
    training starts asks for both without a weight to choose.

    Args:
        judged: Which.
        train: Starts that the units of ``both`` are taken from.
    """
    atoms = len(train.trajectory.numbers)
    if judged == "raw":
        return lambda predicted, true: (predicted - true).square().mean()
    if judged == "superposed":
        return lambda predicted, true: squared_errors(predicted, true, atoms)[1].mean()
    state, times, positions = train.batch(slice(None))
    units = [each.mean() for each in squared_errors(mean_shape(train.trajectory, train.starts)(state, times), positions, atoms)]

    def both(predicted: Tensor, true: Tensor) -> Tensor:
        raw, superposed = (each.mean() for each in squared_errors(predicted, true, atoms))
        return 0.5 * (raw / units[0] + superposed / units[1])

    return both


def error_of(model: Forecaster, loss: Loss, state: State, times: Tensor, positions: Tensor) -> Tensor:
    """Loss of the positions that a model forecasts.

    Args:
        model: What is trained.
        loss: From :func:`loss_of`.
        state: Starts.
        times: fs, shape (n_times, n_systems).
        positions: True ones, Å, shape (n_times, n_atoms, 3).
    """
    with positions_alone():
        departures = model.conserving_departures((state,), times).positions
    flown: Tensor = state.positions + state.velocities * times[:, state.system, None]
    return loss(flown + departures, positions)


def validated(model: Forecaster, loss: Loss, task: Task, per_batch: int) -> float:
    """Mean loss over all starts of a task, so many at once."""
    total = 0.0
    with torch.inference_mode():
        for batch in task.batches(per_batch):
            total += float(error_of(model, loss, *batch)) * batch[0].n_systems
    return total / len(task.starts)
