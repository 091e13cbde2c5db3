"""Stochastic velocity rescaling of every element by itself."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from forcefree.csvr import rescaling_factor
from forcefree.errors import ForcefreeError
from forcefree.simulation.bodies import Bodies
from forcefree.simulation.thermostats import COLDEST, check_thermostat
from forcefree.state import State
from forcefree.streams import Purpose, Streams
from forcefree.units import BOLTZMANN, KINETIC_UNIT


class CSVRElements:
    """CSVR with one factor for each element, for forecasts that let heat leak from one element to another.

    Velocities of the atoms of an element relative to their common centre of mass are multiplied by one factor, those of these
    centres relative to that of the system by another. In the canonical ensemble these parts of the velocities are independent, so
    exact dynamics stays canonical; the momentum of every element is left as it is, but for the exchange among the centres.

    Source: each factor is that of Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007).

    Args:
        state: The systems.
        temperature: K, positive.
        time: Relaxation time of the kinetic energies in fs.
        interval: Length of a step in fs.
        streams: Random numbers of the replicas.
        bodies: Mechanics of the batch, with what the dynamics keeps at zero.

    Raises:
        ForcefreeError: If the temperature or the time is impossible, or isolated molecules must not rotate, because velocities of
            one element cannot be rescaled without a turn.
    """

    turns = True

    def __init__(self, state: State, temperature: float, time: float, interval: float, streams: Streams, bodies: Bodies) -> None:
        check_thermostat(temperature, time)
        if bodies.conserved == "momentum and rotation" and bodies.any_isolated:
            raise ForcefreeError(
                "the thermostat csvr-elements would turn isolated molecules, which must not rotate here; take langevin, or let them rotate"
            )
        self._streams = streams
        self._decay = math.exp(-interval / time)
        self._masses = state.masses[:, None]
        self._system = state.system
        kinds, self._group = torch.unique(1000 * state.system + state.numbers, return_inverse=True)
        self._owner = kinds // 1000  # system of each group
        self._group_masses = self._total(self._group, len(kinds), self._masses)
        self._system_masses = self._total(self._system, state.n_systems, self._masses)
        members = torch.bincount(self._group, minlength=len(kinds))
        groups = torch.bincount(self._owner, minlength=state.n_systems)
        self._counts = tuple((groups + 1).tolist())
        self._first = len(kinds)
        freedom = 3.0 * (torch.cat([members, groups]) - 1).to(torch.float64)
        place = torch.cat([self._owner * 1000, torch.arange(state.n_systems, device=groups.device) * 1000 + 999])
        self._drawn_as = torch.argsort(
            torch.argsort(place, stable=True)
        )  # draws are in order of systems, their groups before their centres
        drawn = freedom[torch.argsort(place, stable=True)]
        self._chi_freedom = (drawn - 1.0).clamp_min(0.0).cpu().numpy().astype(np.float64)
        self._rigid = freedom == 0.0
        self._freedom = freedom.clamp_min(1.0)
        self._mean_kinetic = 0.5 * BOLTZMANN * temperature * self._freedom

    def before(self, state: State, step: int) -> State:  # noqa: ARG002 (the protocol's)
        """The same state."""
        return state

    def after(self, state: State, step: int) -> State:
        """Rescale the velocities of each element, and those of their centres of mass."""
        momenta = self._masses * state.velocities
        centres = self._total(self._group, self._first, momenta) / self._group_masses
        centre = (self._total(self._system, len(self._system_masses), momenta) / self._system_masses).index_select(0, self._owner)
        inner, outer = state.velocities - centres.index_select(0, self._group), centres - centre
        kinetic = torch.cat([
            self._total(self._group, self._first, self._masses * inner * inner),
            self._total(self._owner, len(self._system_masses), self._group_masses * outer * outer),
        ])  # fmt: skip
        ratio = (0.5 * KINETIC_UNIT * kinetic.sum(dim=1) / self._mean_kinetic).clamp_min(COLDEST)
        normal, chi_square = self._streams.normals_and_chi_squares(Purpose.CSVR_ELEMENTS, step, self._chi_freedom, self._counts)
        drawn = (one.to(ratio.device).index_select(0, self._drawn_as) for one in (normal, chi_square))
        factor = torch.where(self._rigid, 1.0, rescaling_factor(ratio, self._freedom, self._decay, *drawn))
        moved = (factor[self._first :].index_select(0, self._owner)[:, None] - 1.0) * outer
        change = (factor[: self._first].index_select(0, self._group)[:, None] - 1.0) * inner + moved.index_select(0, self._group)
        return state.with_(velocities=state.velocities + change)

    @staticmethod
    def _total(place: Tensor, count: int, values: Tensor) -> Tensor:
        return torch.zeros(count, values.shape[1], dtype=values.dtype, device=values.device).index_add_(0, place, values)
