"""The contract: a forecaster maps a history of states to the states at requested times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forcefree.models.card import Card
from forcefree.nn.conservation import restore_angular_momentum
from forcefree.state import State


@dataclass(frozen=True)
class Frames:
    """Forecast states at the requested times.

    Attributes:
        times: fs after the last frame of the history, shape (n_times, n_systems).
        positions: Å, float64, shape (n_times, n_atoms, 3).
        velocities: Å/fs, float64, shape (n_times, n_atoms, 3).
    """

    times: Tensor
    positions: Tensor
    velocities: Tensor

    def state(self, index: int, origin: State) -> State:
        """The forecast at one of the times, as a state that continues ``origin``."""
        return origin.with_(
            positions=self.positions[index], velocities=self.velocities[index], time=origin.time + self.times[index]
        )


class Forecaster(nn.Module, ABC):
    """A model that forecasts departures from free flight; the base class makes the exact part exact.

    A subclass sees velocities relative to the centre of mass and returns, in its own precision, how far positions and
    velocities depart from x0 + v0 t and v0. The base class checks the request against the card, removes the
    mass-weighted mean of the departures (so that momentum, centre-of-mass motion and Galilean boosts are exact), adds
    free flight in float64 and restores the angular momentum of isolated systems. A departure must vanish at t = 0.
    """

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.card = card

    @abstractmethod
    def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
        """Departures from free flight after the last frame of the history.

        Args:
            history: States, oldest first, velocities relative to the centre of mass.
            times: fs, shape (n_times, n_systems).

        Returns:
            Departures of positions in Å and of velocities in Å/fs, each of shape (n_times, n_atoms, 3), zero at t = 0.
        """

    def conserving_departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
        """Departures that leave centre of mass and momentum alone; what training compares with the truth.

        Args:
            history: States, oldest first.
            times: fs, shape (n_times, n_systems).

        Returns:
            As :meth:`departures`.
        """
        last = history[-1]
        drift = last.mean_by_mass(last.velocities)[last.system]
        positions, velocities = self.departures(tuple(s.with_(velocities=s.velocities - drift) for s in history), times)
        return _without_mean(positions, last), _without_mean(velocities, last)

    def forecast(self, history: tuple[State, ...], times: Tensor) -> Frames:
        """States at the requested times.

        Args:
            history: As many states as the card says, oldest first, equally spaced, all of the same systems.
            times: fs after the last state, shape (n_times,) for all systems alike, or (n_times, n_systems).

        Raises:
            ForcefreeError: If the history or the times are not what the card allows.
        """
        last = history[-1]
        self.card.check_history(history)
        self.card.check_times(times)
        asked = times.to(last.positions)
        if asked.ndim == 1:
            asked = asked[:, None].expand(-1, last.n_systems)
        positions, velocities = self.conserving_departures(history, asked)
        elapsed = asked[:, last.system, None]
        moved = last.positions + last.velocities * elapsed + positions.to(last.positions)
        turned = restore_angular_momentum(last, moved, last.velocities + velocities.to(last.velocities))
        return Frames(times=asked, positions=moved, velocities=turned)

    def propagate(self, state: State, interval: float) -> State:
        """One forecast of a one-frame model as a map from a state to the state ``interval`` fs later."""
        times = torch.full((1,), interval, dtype=state.positions.dtype, device=state.positions.device)
        return self.forecast((state,), times).state(0, state)


def _without_mean(vectors: Tensor, state: State) -> Tensor:
    weights = (state.masses / state.sum(state.masses)[state.system]).to(vectors.dtype)
    mean = torch.zeros(len(vectors), state.n_systems, 3, dtype=vectors.dtype, device=vectors.device)
    mean = mean.index_add(1, state.system, weights[:, None] * vectors)
    return vectors - mean[:, state.system]
