"""Dynamics with any ASE calculator, integrated by ASE."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from forcefree.data.trajectory import Floats
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import ReferenceConfig
from forcefree.reference.engines.engine import Engine, Frame
from forcefree.reference.thermostat import Rescaling


class AseEngine(Engine):
    """ASE's integrators around one calculator.

    Args:
        config: The whole configuration.
        start: Structure, with its charges and whatever else a calculator reads.

    Raises:
        ForcefreeError: If the calculator cannot be built.
    """

    def __init__(self, config: ReferenceConfig, start: Atoms) -> None:
        self._config = config
        self._atoms = start.copy()
        self._atoms.calc = build_calculator(config.calculator)
        self._verlet: VelocityVerlet | None = None
        self._thermostat: Rescaling | None = None

    def place(self, positions: Floats, velocities: Floats) -> None:
        """Set positions and velocities."""
        self._atoms.set_positions(positions)
        self._atoms.set_velocities(velocities / units.fs)

    def relax(self) -> None:
        """At most 300 steps of BFGS, to forces below 0.01 eV/Å."""
        BFGS(self._atoms, logfile=None).run(fmax=0.01, steps=300)

    def equilibrate(self, temperature: float, rng: np.random.Generator) -> None:
        """ASE's Langevin dynamics."""
        config = self._config
        MaxwellBoltzmannDistribution(self._atoms, temperature_K=temperature, rng=rng)
        friction = 1.0 / (config.equilibration.friction_time * units.fs)
        langevin = Langevin(self._atoms, config.timestep * units.fs, temperature_K=temperature, friction=friction, rng=rng, fixcm=False)
        langevin.run(config.equilibration_steps)

    def begin(self, temperature: float, rng: np.random.Generator) -> None:
        """Velocity Verlet, with CSVR after every step if the ensemble is NVT."""
        self._verlet = VelocityVerlet(self._atoms, self._config.timestep * units.fs)
        nvt = self._config.recording.ensemble == "nvt"
        self._thermostat = Rescaling.of(self._config, temperature, self._atoms, rng) if nvt else None

    def advance(self) -> None:
        """Integrate step by step."""
        assert self._verlet is not None
        for _ in range(self._config.steps_per_frame):
            self._verlet.run(1)
            if self._thermostat is not None:
                self._thermostat.apply(self._atoms)

    def frame(self) -> Frame:
        """The present moment; the calculator's own exceptions pass through."""
        atoms = self._atoms
        velocities: Floats = atoms.get_velocities() * units.fs
        return Frame(atoms.positions.copy(), velocities, float(atoms.get_potential_energy()), atoms.get_forces().copy())
