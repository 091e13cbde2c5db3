"""The contract: a forecaster maps a history of states to the states at requested times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.energy_head import EnergyHead
from forcefree.nn.conservation import restore_angular_momentum
from forcefree.state import State


class Departures(NamedTuple):
    """How far a forecast departs from free flight.

    Attributes:
        positions: Å, shape (n_times, n_atoms, 3), zero at t = 0.
        velocities: Å/fs, shape (n_times, n_atoms, 3), zero at t = 0.
        participation: Share of each atom in what conserves momentum, shape (n_atoms,), between 0 and 1: zero for an atom
            without neighbours, which must fly straight. All atoms alike where it is not given.
        penalty: Dimensionless terms that the model adds to the loss while it is trained, a scalar; None for none.
    """

    positions: Tensor
    velocities: Tensor
    participation: Tensor | None = None
    penalty: Tensor | None = None


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
        return origin.with_(positions=self.positions[index], velocities=self.velocities[index], time=origin.time + self.times[index])


class Forecaster(nn.Module, ABC):
    """A model that forecasts departures from free flight; the base class makes the exact part exact.

    A subclass sees velocities relative to the centre of mass and returns, in its own precision, how far positions and
    velocities depart from x0 + v0 t and v0. The base class checks the request against the card, removes the
    mass-weighted mean of the departures (so that momentum, centre-of-mass motion and Galilean boosts are exact), adds
    free flight in float64 and restores the angular momentum of isolated systems. A departure must vanish at t = 0.
    Where the card says that atoms are left out (``closed`` is false), momentum is not the model's to keep, and none of
    this is done: velocities are seen as they are, and departures stay as the subclass returns them.
    """

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.card = card
        self.energy: EnergyHead | None = None
        self._checked: Tensor | None = None

    @classmethod
    def timing(cls, options: dict[str, Any], t_max: float) -> dict[str, Any]:  # noqa: ARG003 (an architecture may need them)
        """Which frames the architecture starts from and which it forecasts.

        Args:
            options: Of the architecture.
            t_max: Longest forecast in fs.

        Returns:
            The fields ``history_length``, ``history_spacing`` and ``fixed_times`` of the card that are not at their defaults.
        """
        return {}

    @abstractmethod
    def departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        """Departures from free flight after the last frame of the history.

        Args:
            history: States, oldest first, positions and velocities as seen from the last frame's moving centre of mass.
            times: fs, shape (n_times, n_systems).

        Returns:
            Departures of positions in Å and of velocities in Å/fs, each of shape (n_times, n_atoms, 3), zero at t = 0.
            A plain pair is welcome too.
        """

    @property
    def knows_energy(self) -> bool:
        """Whether the model can tell potential energies."""
        return self.energy is not None

    def potential_energy(self, state: State) -> Tensor:
        """Learnt potential energy of each system in eV, float64, shape (n_systems,).

        Raises:
            ForcefreeError: If the model has no energy head.
        """
        if self.energy is None:
            raise ForcefreeError(
                f"model {self.card.name} has no energy head, so it cannot tell its energy; train one with potential_weight above zero"
            )
        found: Tensor = self.energy(state)
        return found

    def check_system(self, state: State) -> None:
        """Refuse systems that the model cannot serve; a model that needs more than the card's elements and masses says so here.

        Raises:
            ForcefreeError: Naming what does not fit.
        """
        self.card.check_system(state)

    def tabulate(self) -> None:
        """Get ready for many forecasts with the same weights; a model that has no faster form of itself does nothing."""

    def conserving_departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        """Departures that leave centre of mass and momentum alone; what training compares with the truth.

        Args:
            history: States, oldest first.
            times: fs, shape (n_times, n_systems).

        Returns:
            As :meth:`departures`.
        """
        last = history[-1]
        departures = self._relative_departures(history, times)
        weights = departures.participation
        if not self.card.closed:
            return departures
        return Departures(
            _without_momentum(departures.positions, last, weights),
            _without_momentum(departures.velocities, last, weights),
            weights,
            departures.penalty,
        )

    def forecast(self, history: tuple[State, ...], times: Tensor) -> Frames:
        """States at the requested times.

        Args:
            history: As many states as the card says, oldest first, equally spaced, all of the same systems.
            times: fs after the last state, shape (n_times,) for all systems alike, or (n_times, n_systems).

        Raises:
            ForcefreeError: If the history, the times, an element or a mass are not what the card allows.
        """
        last = history[-1]
        self.card.check_history(history)
        self.card.check_times(times)
        if last.numbers is not self._checked:
            self.check_system(last)
            self._checked = last.numbers
        asked = times.to(last.positions)
        if asked.ndim == 1:
            asked = asked[:, None].expand(-1, last.n_systems)
        positions, velocities = self.unchecked_forecast(history, asked)
        return Frames(times=asked, positions=positions, velocities=velocities)

    def unchecked_forecast(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`forecast` does after its checks: tensors in, tensors out, no decision that depends on their values.

        Args:
            history: As of :meth:`forecast`.
            times: fs, shape (n_times, n_systems).

        Returns:
            Positions in Å and velocities in Å/fs, float64, each of shape (n_times, n_atoms, 3).
        """
        last = history[-1]
        raw = self._relative_departures(history, times)
        elapsed = times[:, last.system, None]
        if not self.card.closed:
            moved = last.positions + last.velocities * elapsed + raw.positions.to(last.positions)
            return moved, last.velocities + raw.velocities.to(last.velocities)
        weights = None if raw.participation is None else raw.participation.to(last.positions)
        moved = last.positions + last.velocities * elapsed + _without_momentum(raw.positions.to(last.positions), last, weights)
        faster = last.velocities + _without_momentum(raw.velocities.to(last.velocities), last, weights)
        return moved, restore_angular_momentum(last, moved, faster, weights=weights)

    def _relative_departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        """What the subclass says of the history seen from the last frame's centre of mass, which flies on.

        Of an open system, whose centre of mass is not that of the atoms here, it is what the subclass says of it as it is.
        """
        last = history[-1]
        if not self.card.closed:
            return Departures(*self.departures(history, times))
        drift = last.mean_by_mass(last.velocities)[last.system]
        earlier = (
            s.with_(positions=s.positions + drift * (last.time - s.time)[s.system, None], velocities=s.velocities - drift)
            for s in history[:-1]
        )
        return Departures(*self.departures((*earlier, last.with_(velocities=last.velocities - drift)), times))

    def propagate(self, state: State, interval: float) -> State:
        """One forecast of a one-frame model as a map from a state to the state ``interval`` fs later."""
        times = torch.full((1,), interval, dtype=state.positions.dtype, device=state.positions.device)
        return self.forecast((state,), times).state(0, state)


def _without_momentum(vectors: Tensor, state: State, participation: Tensor | None) -> Tensor:
    """Subtract from participating atoms, in proportion, what the mass-weighted sum over each system would be off zero."""
    masses = state.masses.to(vectors.dtype)
    shares = masses if participation is None else masses * participation
    total = torch.zeros(len(vectors), state.n_systems, 3, dtype=vectors.dtype, device=vectors.device)
    total = total.index_add(1, state.system, masses[:, None] * vectors)
    carried = state.sum(shares).clamp_min(torch.finfo(vectors.dtype).tiny)
    excess = (total / carried[:, None])[:, state.system]
    return vectors - excess * (1.0 if participation is None else participation[:, None])
