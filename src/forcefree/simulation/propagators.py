"""Propagators: ways to turn a forecaster's map into steps of a trajectory."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster, Frames
from forcefree.state import State

_FURTHEST = 100.0


class Propagator(Protocol):
    """One time step of undisturbed dynamics, made of one or more passes of a forecaster."""

    @property
    def name(self) -> str:
        """Such as ``direct``."""

    @property
    def interval(self) -> float:
        """Length of a step in fs."""

    @property
    def passes(self) -> int:
        """Passes of the forecaster per step."""

    def describe(self) -> dict[str, object]:
        """Plain JSON values from which the propagator can be made again."""

    def most_times(self, frames: int) -> int:
        """The largest number of times that one pass is asked for where a step leaves ``frames`` equally spaced frames."""

    def step(self, state: State) -> State:
        """The state one interval later."""

    def trace(self, state: State, times: Tensor) -> Frames:
        """Frames inside a step, from the same passes.

        Args:
            state: Where the step begins.
            times: fs after that, increasing, the last one equal to the interval, shape (n_times,).

        Returns:
            Frames at these times; the last is what :meth:`step` returns.
        """

    def residual(self, state: State) -> Tensor | None:
        """How far the step from ``state`` is from being undone by the reversed dynamics, root mean square over atoms.

        Returns:
            Å, shape (n_systems,), or None where the propagator does not aim at reversibility.
        """


class Direct:
    """One forecast per step.

    Args:
        model: A forecaster that needs one frame.
        interval: Length of a step in fs.

    Raises:
        ForcefreeError: If the model needs a longer history or has no forecast at the interval.
    """

    name = "direct"
    passes = 1

    def __init__(self, model: Forecaster, interval: float) -> None:
        check_interval(model, interval)
        self.model = model
        self.interval = interval

    def describe(self) -> dict[str, object]:
        """Name and interval (fs)."""
        return {"name": self.name, "interval": self.interval}

    def most_times(self, frames: int) -> int:
        """All of them."""
        return frames

    def step(self, state: State) -> State:
        """The forecast one interval later."""
        return self.model.propagate(state, self.interval)

    def trace(self, state: State, times: Tensor) -> Frames:
        """All frames of a step from one pass; arguments as :meth:`Propagator.trace`."""
        return self.model.forecast((state,), times)

    def residual(self, state: State) -> None:
        """A direct step does not aim at reversibility."""


def check_interval(model: Forecaster, interval: float) -> None:
    """Refuse a model that needs more than one frame, or an interval that it does not have.

    Raises:
        ForcefreeError: Saying what the model needs.
    """
    if model.card.history_length != 1:
        raise ForcefreeError(
            f"model {model.card.name} forecasts from {model.card.history_length} frames; this propagator serves models of one frame"
        )
    if not interval > 0.0:
        raise ForcefreeError(f"the interval of a propagator must be positive, not {interval:g} fs")
    model.card.check_times(torch.tensor([interval], dtype=torch.float64))


def ending_at(times: Tensor, last: float) -> Tensor:
    """Increasing times (fs) that end with ``last``, which is added where they end before it."""
    if len(times) and float(times[-1]) >= last * (1.0 - 1e-9):
        return times
    return torch.cat([times, torch.tensor([last], dtype=times.dtype)])


def flipped(state: State) -> State:
    """The time-reversed state: all velocities turned round."""
    return state.with_(velocities=-state.velocities)


def tamed(state: State, origin: State) -> tuple[State, Tensor | None]:
    """Put back systems that a pass has lost, so that the next pass cannot stumble over one of them.

    Args:
        state: What a pass returned.
        origin: Where it started.

    Returns:
        The state with every lost system at its origin, and which atoms are lost, shape (n_atoms,), None for none.
    """
    moved = (state.positions - origin.positions).abs() + state.velocities.abs()
    if bool(moved.amax() < _FURTHEST):
        return state, None
    sane = (moved < _FURTHEST).all(dim=1)
    lost = (state.sum((~sane).to(moved.dtype)) > 0)[state.system]
    kept = state.with_(
        positions=torch.where(lost[:, None], origin.positions, state.positions),
        velocities=torch.where(lost[:, None], origin.velocities, state.velocities),
    )
    return kept, lost
