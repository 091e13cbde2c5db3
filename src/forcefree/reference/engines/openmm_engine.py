"""Dynamics in OpenMM, thousands of steps per call (Eastman et al., J. Phys. Chem. B 128, 109, 2024)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ase import Atoms
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from forcefree.data.trajectory import Floats
from forcefree.reference.config import ReferenceConfig
from forcefree.reference.engines.engine import Engine, Frame
from forcefree.reference.engines.openmm_integrators import velocity_rescaling, velocity_verlet
from forcefree.reference.engines.openmm_library import load_openmm
from forcefree.reference.engines.openmm_options import OpenmmOptions
from forcefree.reference.engines.openmm_session import OpenmmSession
from forcefree.reference.thermostat import count_freedom
from forcefree.units import ASE_FEMTOSECOND, PICOSECOND


class OpenmmEngine(Engine):
    """OpenMM's Langevin middle integrator to equilibrate; velocity Verlet, with CSVR if the ensemble is NVT, to record.

    Args:
        config: The whole configuration.
        start: Structure.

    Raises:
        ForcefreeError: If OpenMM is missing, or the options or the structure do not suit it.
    """

    def __init__(self, config: ReferenceConfig, start: Atoms) -> None:
        self._config = config
        self._start = start
        self._options = OpenmmOptions.parse(config.calculator.options, "calculator openmm")
        self._session = OpenmmSession(self._options, start)

    def place(self, positions: Floats, velocities: Floats) -> None:
        """Set positions and velocities."""
        self._session.place(positions, velocities)

    def relax(self) -> None:
        """OpenMM's minimizer, at most 1000 iterations."""
        load_openmm().LocalEnergyMinimizer.minimize(self._session.context, 1.0, 1000)

    def equilibrate(self, temperature: float, rng: np.random.Generator) -> None:
        """Velocities of the temperature, then Langevin dynamics."""
        config = self._config
        atoms = self._start.copy()
        MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
        friction = 1.0 / (config.equilibration.friction_time * PICOSECOND)
        langevin = load_openmm().LangevinMiddleIntegrator(temperature, friction, config.timestep * PICOSECOND)
        langevin.setRandomNumberSeed(_seed(rng))
        self._exchange(langevin, atoms.get_velocities() * ASE_FEMTOSECOND)
        self._session.step(config.equilibration_steps)

    def begin(self, temperature: float, rng: np.random.Generator) -> None:
        """Choose the integrator of the ensemble."""
        config = self._config
        if config.recording.ensemble == "nve":
            self._exchange(velocity_verlet(config.timestep))
            return
        freedom = count_freedom(self._start, config)
        decay = math.exp(-config.timestep / config.recording.thermostat_time)
        rescaling = velocity_rescaling(
            config.timestep, temperature=temperature, freedom=freedom, decay=decay, atoms=len(self._start), seed=_seed(rng)
        )
        self._exchange(rescaling)

    def advance(self) -> None:
        """Integrate to the next frame in one call."""
        self._session.step(self._config.steps_per_frame)

    def frame(self) -> Frame:
        """The present moment."""
        return self._session.frame()

    def _exchange(self, integrator: Any, velocities: Floats | None = None) -> None:
        """A context has one integrator for life; the atoms move to a new one."""
        frame = self._session.frame()
        self._session = OpenmmSession(self._options, self._start, integrator)
        self._session.place(frame.positions, frame.velocities if velocities is None else velocities)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 2**31 - 1))
