"""Thermostats around a propagator: none (NVE), stochastic velocity rescaling (CSVR), Langevin, and either at the beginning only.

All act on velocities relative to the centre of mass, so the total momentum is exact.
"""

from __future__ import annotations

import math
from typing import Literal, Protocol

import torch
from torch import Tensor

from forcefree.csvr import rescaling_factor
from forcefree.errors import ForcefreeError
from forcefree.simulation.bodies import Bodies
from forcefree.state import State
from forcefree.streams import Purpose, Streams
from forcefree.temperature import degrees_of_freedom
from forcefree.units import BOLTZMANN
from forcefree.velocities import thermal_spread

ThermostatName = Literal["csvr", "csvr-elements", "langevin"]
COLDEST = 1e-12
"""Least kinetic energy that is rescaled, over its canonical mean."""


class Thermostat(Protocol):
    """What happens to velocities before and after a step of undisturbed dynamics."""

    @property
    def turns(self) -> bool:
        """Whether it changes the angular momentum of molecules that rotate."""

    def before(self, state: State, step: int) -> State:
        """Velocities changed before step number ``step``."""

    def after(self, state: State, step: int) -> State:
        """Velocities changed after step number ``step``."""


class NoThermostat:
    """Undisturbed dynamics (NVE)."""

    turns = False

    def before(self, state: State, step: int) -> State:  # noqa: ARG002 (the protocol's)
        """The same state."""
        return state

    def after(self, state: State, step: int) -> State:  # noqa: ARG002 (the protocol's)
        """The same state."""
        return state


class Equilibration:
    """A thermostat for the first steps, and undisturbed dynamics after them: how an NVE run comes to its temperature.

    Args:
        thermostat: Of these steps.
        steps: How many.
    """

    def __init__(self, thermostat: Thermostat, steps: int) -> None:
        self._thermostat, self._steps = thermostat, steps
        self.turns = thermostat.turns

    def before(self, state: State, step: int) -> State:
        """What the thermostat does, while it acts."""
        return self._thermostat.before(state, step) if step < self._steps else state

    def after(self, state: State, step: int) -> State:
        """What the thermostat does, while it acts."""
        return self._thermostat.after(state, step) if step < self._steps else state


class CSVR:
    """Canonical sampling by stochastic velocity rescaling, after every step.

    All velocities of a system are multiplied by one factor whose law keeps the kinetic energy canonical; directions, and
    with them diffusion and vibrations, are hardly disturbed. An angular momentum that is not zero is rescaled too.

    Source: Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007).

    Args:
        state: The systems, for their degrees of freedom.
        temperature: K, positive.
        time: Relaxation time of the kinetic energy in fs.
        interval: Length of a step in fs.
        streams: Random numbers of the replicas.
        bodies: Mechanics of the batch, with what the dynamics keeps at zero.
    """

    turns = True

    def __init__(self, state: State, temperature: float, time: float, interval: float, streams: Streams, bodies: Bodies) -> None:
        check_thermostat(temperature, time)
        self._freedom = degrees_of_freedom(state, bodies.conserved, bending=True)
        self._mean_kinetic = 0.5 * BOLTZMANN * temperature * self._freedom
        self._chi_freedom = (self._freedom - 1.0).cpu().numpy()
        self._decay = math.exp(-interval / time)
        self._streams = streams
        self._bodies = bodies

    def before(self, state: State, step: int) -> State:  # noqa: ARG002 (the protocol's)
        """The same state."""
        return state

    def after(self, state: State, step: int) -> State:
        """Rescale all velocities relative to the centre of mass."""
        relative = self._bodies.relative(state.velocities)
        ratio = (self._bodies.kinetic_energy(relative) / self._mean_kinetic).clamp_min(COLDEST)
        normal, chi_square = self._streams.normals_and_chi_squares(Purpose.CSVR, step, self._chi_freedom)
        factor = rescaling_factor(ratio, self._freedom, self._decay, normal.to(ratio.device), chi_square.to(ratio.device))
        return state.with_(velocities=torch.addcmul(state.velocities, factor[state.system, None] - 1.0, relative))


class Langevin:
    """Friction and noise on every atom, half before and half after the step (the OVO splitting).

    Friction and noise are projected onto the velocities that the conservation laws allow: the momentum of a system, and
    where it must not rotate its angular momentum, are never touched, and the rest is canonical in 3N - 3 (or 3N - 6)
    degrees of freedom.

    Source: Bussi and Parrinello, Phys. Rev. E 75, 056707 (2007), with forecast dynamics in the place of velocity Verlet.

    Args:
        state: The systems.
        temperature: K, positive.
        time: Inverse friction in fs.
        interval: Length of a step in fs.
        streams: Random numbers of the replicas.
        bodies: Mechanics of the batch, with what the dynamics keeps at zero.
    """

    turns = True

    def __init__(self, state: State, temperature: float, time: float, interval: float, streams: Streams, bodies: Bodies) -> None:
        check_thermostat(temperature, time)
        degrees_of_freedom(state, bodies.conserved, bending=True)
        self._friction = 1.0 - math.exp(-0.5 * interval / time)
        self._noise = thermal_spread(state, temperature) * math.sqrt(1.0 - math.exp(-interval / time))
        self._counts = tuple(3 * n for n in state.sizes.tolist())
        self._bodies = bodies
        self._streams = streams

    def before(self, state: State, step: int) -> State:
        """Half a step of friction and noise."""
        return self._half(state, Purpose.LANGEVIN_BEFORE, step)

    def after(self, state: State, step: int) -> State:
        """Half a step of friction and noise."""
        return self._half(state, Purpose.LANGEVIN_AFTER, step)

    def _half(self, state: State, purpose: Purpose, step: int) -> State:
        normals = self._streams.normals(purpose, step, self._counts).view(-1, 3).to(self._noise.device)
        kick: Tensor = torch.addcmul(-self._friction * state.velocities, self._noise, normals)
        return state.with_(velocities=state.velocities + self._bodies.allowed(state.positions, kick))


def check_thermostat(temperature: float, time: float) -> None:
    """Refuse an impossible temperature (K) or relaxation time (fs).

    Raises:
        ForcefreeError: If one is.
    """
    if not 0.0 < temperature < 1.0e5:
        raise ForcefreeError(f"a thermostat needs a temperature between 0 and 100000 K, not {temperature:g} K")
    if not 0.0 < time < math.inf:
        raise ForcefreeError(f"a thermostat needs a positive relaxation time, not {time:g} fs")
