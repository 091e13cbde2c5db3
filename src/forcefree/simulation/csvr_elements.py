"""Stochastic velocity rescaling of every element by itself."""

from __future__ import annotations

import math

import torch

from forcefree.csvr import rescaling_factor
from forcefree.simulation.bodies import Bodies
from forcefree.simulation.elements import Elements
from forcefree.simulation.thermostats import COLDEST, check_thermostat
from forcefree.state import State
from forcefree.streams import Purpose, Streams
from forcefree.temperature import degrees_of_freedom
from forcefree.units import BOLTZMANN

_TURNS = torch.tensor([0, 0, 2, 3])  # axes about which one, two, three and more atoms turn


class CSVRElements:
    """CSVR with one factor for each element, for forecasts that let heat leak from one element to another.

    Velocities of the atoms of an element relative to their common centre of mass are multiplied by one factor, and what is left,
    the motion of these centres about that of the system, by another. Where isolated molecules must not rotate, the turn of the atoms of an
    element about their centre belongs to what is left too. These parts of the velocities are orthogonal, so that in the canonical ensemble they
    are independent, and exact dynamics stays canonical; momentum, and angular momentum where it is zero, are left as they are. An element of
    one atom has nothing of its own, and a system of one element gets plain CSVR.

    Source: each factor is that of Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007).

    Args:
        state: The systems.
        temperature: K, positive.
        time: Relaxation time of the kinetic energies in fs.
        interval: Length of a step in fs.
        streams: Random numbers of the replicas.
        bodies: Mechanics of the batch, with what the dynamics keeps at zero.

    Raises:
        ForcefreeError: If the temperature or the time is impossible.
    """

    turns = True

    def __init__(self, state: State, temperature: float, time: float, interval: float, streams: Streams, bodies: Bodies) -> None:
        check_thermostat(temperature, time)
        self._streams, self._bodies = streams, bodies
        self._decay = math.exp(-interval / time)
        elements = Elements.of(state)
        owner, self._element = elements.owner, elements.index
        alone = elements.alone(state)
        self._elements = Bodies(alone, bodies.conserved)
        turned = alone.isolated & (bodies.conserved == "momentum and rotation")
        inner = 3 * elements.sizes - 3 - _TURNS.to(turned.device)[elements.sizes.clamp(max=3)] * turned
        whole = degrees_of_freedom(state, bodies.conserved, bending=True)
        freedom = torch.cat([inner.to(whole), whole.index_add(0, owner, -inner.to(whole))])
        # random numbers are drawn system after system, for its elements and then for what is left
        drawn = torch.argsort(torch.cat([owner, torch.arange(state.n_systems, device=owner.device)]), stable=True)
        self._drawn_as = torch.argsort(drawn)
        self._counts = tuple((torch.bincount(owner, minlength=state.n_systems) + 1).tolist())
        self._chi_freedom = (freedom[drawn] - 1.0).clamp_min(0.0).cpu().numpy()
        self._still = freedom < 0.5
        self._freedom = freedom.clamp_min(1.0)
        self._mean_kinetic = 0.5 * BOLTZMANN * temperature * self._freedom

    def before(self, state: State, step: int) -> State:  # noqa: ARG002 (the protocol's)
        """The same state."""
        return state

    def after(self, state: State, step: int) -> State:
        """Rescale the velocities of each element, and what they leave."""
        relative = self._bodies.relative(state.velocities)
        inner = self._elements.allowed(state.positions, relative)
        left = relative - inner
        kinetic = torch.cat([self._elements.kinetic_energy(inner), self._bodies.kinetic_energy(left)])
        ratio = (kinetic / self._mean_kinetic).clamp_min(COLDEST)
        normal, chi_square = self._streams.normals_and_chi_squares(Purpose.CSVR_ELEMENTS, step, self._chi_freedom, self._counts)
        normal, chi_square = (one.to(ratio.device)[self._drawn_as] for one in (normal, chi_square))
        change = torch.where(self._still, 0.0, rescaling_factor(ratio, self._freedom, self._decay, normal, chi_square) - 1.0)
        added = change[self._element, None] * inner + change[self._elements.n_systems + state.system, None] * left
        added = self._bodies.allowed(state.positions, added)  # a large factor scales rounding too
        return state.with_(velocities=state.velocities + added)
