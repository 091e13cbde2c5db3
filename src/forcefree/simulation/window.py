"""The window propagator: steps of a model that forecasts several frames from several frames."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster, Frames
from forcefree.state import State


class Window:
    r"""One forecast per step; the last frames of the past and of the forecast are the history of the next.

    Between steps a thermostat, or what restores the angular momentum, changes velocities by :math:`\Delta v`. The forces of the past
    do not change with them. So every earlier frame is seen from an atom that had come along with the new velocity: its
    velocity changes by the same :math:`\Delta v` and its position by :math:`(t_k - t) \Delta v`, and how the past departs from free
    flight, which is what forces did, stays as it was. A system whose positions were changed too (by another program, or
    because a guard holds it) begins anew from straight flight.

    Args:
        model: A forecaster of several frames.
        interval: Length of a step in fs, a multiple of the spacing of the history.

    Raises:
        ForcefreeError: If the model needs one frame only, or has no forecast at the interval.
    """

    name = "window"
    passes = 1

    def __init__(self, model: Forecaster, interval: float) -> None:
        card = model.card
        if card.history_length == 1 or card.history_spacing is None:
            raise ForcefreeError(
                f"the window propagator serves models of several frames; model {card.name} needs one, use direct or reversible"
            )
        model.card.check_times(torch.tensor([interval], dtype=torch.float64))
        self.model = model
        self.interval = interval
        self.spacing = card.history_spacing
        self._steps = round(interval / self.spacing)
        if self._steps < 1 or abs(self._steps * self.spacing - interval) > 1e-6 * interval:
            raise ForcefreeError(f"a step of model {card.name} is a multiple of {self.spacing:g} fs, not {interval:g} fs")
        self._ages = -self.spacing * torch.arange(card.history_length - 1, -1, -1, dtype=torch.float64)
        self._positions: Tensor | None = None
        self._velocities: Tensor | None = None

    def describe(self) -> dict[str, object]:
        """Name and interval (fs)."""
        return {"name": self.name, "interval": self.interval}

    def most_times(self, frames: int) -> int:  # noqa: ARG002 (a step has all frames of the model)
        """All frames of a step."""
        return self._steps

    def begin(self, history: tuple[State, ...]) -> None:
        """Take the frames from which the first forecast starts.

        Args:
            history: As many frames as the model needs, oldest first, the last one the start of the first step.

        Raises:
            ForcefreeError: If there are too few frames or they are not as far apart as the model needs.
        """
        self.model.card.check_history(history)
        self._positions = torch.stack([state.positions for state in history])
        self._velocities = torch.stack([state.velocities for state in history])

    def step(self, state: State) -> State:
        """The state one interval later."""
        return self._forecast(state).state(-1, state)

    def trace(self, state: State, times: Tensor) -> Frames:
        """Frames inside a step, at multiples of the spacing; arguments as :meth:`Propagator.trace`."""
        frames = self._forecast(state)
        chosen = (times / self.spacing).round().to(torch.int64) - 1
        return Frames(frames.times[chosen], frames.positions[chosen], frames.velocities[chosen])

    def residual(self, state: State) -> None:
        """A forecast from a window does not aim at reversibility."""

    def memory(self) -> dict[str, Tensor]:
        """The history, without which a run cannot go on; shapes (history_length, n_atoms, 3)."""
        if self._positions is None or self._velocities is None:
            raise ForcefreeError(f"model {self.model.card.name} has no history yet; begin with {self.model.card.history_length} frames")
        return {"window_positions": self._positions, "window_velocities": self._velocities}

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Go on with a history that :meth:`memory` gave."""
        self._positions, self._velocities = memory["window_positions"], memory["window_velocities"]

    def history(self, state: State) -> tuple[State, ...]:
        """The frames that the next forecast sees if it starts from ``state``."""
        memory = self.memory()
        positions, velocities = memory["window_positions"], memory["window_velocities"]
        ages = self._ages.to(state.positions)
        kick = state.velocities - velocities[-1]
        earlier = positions + ages[:, None, None] * kick
        faster = velocities + kick
        moved = (state.positions != positions[-1]).any(dim=1)
        if bool(moved.any()):
            anew = (state.sum(moved.to(state.positions)) > 0.0)[state.system, None]
            earlier = torch.where(anew, state.positions + ages[:, None, None] * state.velocities, earlier)
            faster = torch.where(anew, state.velocities, faster)
        frames = tuple(
            state.with_(positions=x, velocities=v, time=state.time + age)
            for x, v, age in zip(earlier[:-1], faster[:-1], ages[:-1], strict=True)
        )
        return (*frames, state)

    def _forecast(self, state: State) -> Frames:
        """All frames of a step, which become the history."""
        history = self.history(state)
        times = self.spacing * torch.arange(1, self._steps + 1, dtype=torch.float64, device=state.positions.device)
        frames = self.model.forecast(history, times)
        length = len(history)
        self._positions = torch.cat([torch.stack([frame.positions for frame in history]), frames.positions])[-length:]
        self._velocities = torch.cat([torch.stack([frame.velocities for frame in history]), frames.velocities])[-length:]
        return frames
