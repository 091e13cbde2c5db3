"""Dynamics in LAMMPS, thousands of steps per call (Thompson et al., Comput. Phys. Commun. 271, 108171, 2022)."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from forcefree.data.trajectory import Floats
from forcefree.reference.config import ReferenceConfig
from forcefree.reference.engines.engine import Engine, Frame
from forcefree.reference.engines.lammps_options import LammpsOptions
from forcefree.reference.engines.lammps_session import LammpsSession
from forcefree.reference.thermostat import count_freedom
from forcefree.units import ASE_FEMTOSECOND

_LARGEST_SEED = 900_000_000


class LammpsEngine(Engine):
    """LAMMPS' integrators: ``fix nve``, with ``fix langevin`` to equilibrate and ``fix temp/csvr`` for an NVT recording.

    Args:
        config: The whole configuration.
        start: Structure; its bonds stay what they are here.

    Raises:
        ForcefreeError: If LAMMPS is missing, the options are wrong, or LAMMPS stops at one of the commands.
    """

    def __init__(self, config: ReferenceConfig, start: Atoms) -> None:
        self._config = config
        self._start = start
        self._session = LammpsSession(LammpsOptions.parse(config.calculator.options, "calculator lammps"), start)
        self._session.place(start.positions)
        self._session.command(f"timestep {self._session.duration(config.timestep)}", "fix forcefree all nve")

    def place(self, positions: Floats, velocities: Floats) -> None:
        """Set positions and velocities."""
        self._session.place(positions, velocities)

    def relax(self) -> None:
        """At most 1000 steps of LAMMPS' conjugate gradients, to a force of 0.01 eV/Å on all atoms together."""
        self._session.command(f"minimize 0 {self._session.pull(0.01)} 1000 10000")

    def equilibrate(self, temperature: float, rng: np.random.Generator) -> None:
        """Velocities of the temperature, then ``fix langevin``."""
        atoms = self._start.copy()
        MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
        self._session.place(self._session.frame().positions, atoms.get_velocities() * ASE_FEMTOSECOND)
        damping = self._session.duration(self._config.equilibration.friction_time)
        self._session.command(
            f"fix equilibration all langevin {temperature!r} {temperature!r} {damping} {_seed(rng)}",
            f"run {self._config.equilibration_steps} post no",
            "unfix equilibration",
        )

    def begin(self, temperature: float, rng: np.random.Generator) -> None:
        """Add CSVR to ``fix nve`` if the ensemble is NVT, with the degrees of freedom that the run has."""
        if self._config.recording.ensemble == "nve":
            return
        relaxation = self._session.duration(self._config.recording.thermostat_time)
        lost = 3 * len(self._start) - count_freedom(self._start, self._config)
        self._session.command(
            "compute motion all temp",
            f"compute_modify motion extra/dof {lost:g}",
            f"fix thermostat all temp/csvr {temperature!r} {temperature!r} {relaxation} {_seed(rng)}",
            "fix_modify thermostat temp motion",
            "run 0 post no",
        )

    def advance(self) -> None:
        """Integrate to the next frame in one call."""
        self._session.command(f"run {self._config.steps_per_frame} pre no post no")

    def frame(self) -> Frame:
        """The present moment."""
        return self._session.frame()


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, _LARGEST_SEED))
