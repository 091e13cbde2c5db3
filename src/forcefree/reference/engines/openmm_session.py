"""One OpenMM context that holds one structure, spoken to in Å, fs and eV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from ase import Atoms

from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError
from forcefree.reference.engines.engine import Frame, RunawayError
from forcefree.reference.engines.lower_cell import LowerCell
from forcefree.reference.engines.openmm_integrators import velocity_verlet
from forcefree.reference.engines.openmm_library import load_openmm
from forcefree.reference.engines.openmm_options import OpenmmOptions
from forcefree.reference.engines.openmm_system import build_system, check_elements
from forcefree.units import KJ_PER_MOL, NANOMETRE, PICOSECOND

_SPEED = NANOMETRE / PICOSECOND
"""Å/fs in nm/ps."""

_PROPERTIES = {"Threads": "1", "Precision": "mixed", "DeterministicForces": "true"}
"""Of the platforms that have them: one thread per worker, double precision where it accumulates, sums in one order."""


class OpenmmSession:
    """A structure under a potential in OpenMM.

    Args:
        options: The potential.
        atoms: Structure.
        integrator: An OpenMM integrator; one that is never stepped if none is given.

    Raises:
        ForcefreeError: If OpenMM is missing, or the options, the platform or the structure do not suit it.
    """

    def __init__(self, options: OpenmmOptions, atoms: Atoms, integrator: Any = None) -> None:
        openmm = load_openmm()
        system = build_system(options, atoms)
        check_elements(options, atoms)
        self._cell = LowerCell.of(atoms.cell.array * atoms.pbc[:, None])
        self.integrator = integrator or velocity_verlet(1.0)
        try:
            platform = openmm.Platform.getPlatformByName(options.platform)
            properties = {name: value for name, value in _PROPERTIES.items() if name in platform.getPropertyNames()}
            self.context = openmm.Context(system, self.integrator, platform, properties)
        except Exception as error:  # OpenMM raises bare exceptions
            raise ForcefreeError(f"OpenMM cannot run on platform {options.platform}: {' '.join(str(error).split())}") from error
        self.place(atoms.positions, np.zeros_like(atoms.positions))

    def place(self, positions: Floats, velocities: Floats | None = None) -> None:
        """Move the atoms.

        Args:
            positions: Å, unwrapped, shape (n_atoms, 3).
            velocities: Å/fs, shape (n_atoms, 3), or None to leave them as they are.
        """
        self.context.setPositions(self._cell.into(positions) * NANOMETRE)
        if velocities is not None:
            self.context.setVelocities(self._cell.into(velocities) * _SPEED)

    def step(self, steps: int) -> None:
        """Integrate so many steps.

        Raises:
            RunawayError: If atoms fly apart.
        """
        with _following():
            self.integrator.step(steps)

    def frame(self) -> Frame:
        """The present moment.

        Raises:
            RunawayError: If atoms have flown apart.
        """
        with _following():
            state = self.context.getState(getPositions=True, getVelocities=True, getEnergy=True, getForces=True)
        positions, velocities, forces = (
            self._cell.back(np.asarray(values._value, dtype=np.float64))
            for values in (state.getPositions(asNumpy=True), state.getVelocities(asNumpy=True), state.getForces(asNumpy=True))
        )
        energy = float(state.getPotentialEnergy()._value) * KJ_PER_MOL
        return Frame(positions / NANOMETRE, velocities / _SPEED, energy, forces * (KJ_PER_MOL * NANOMETRE))


@contextmanager
def _following() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # OpenMM raises bare exceptions
        if "NaN" not in str(error):
            raise
        raise RunawayError(f"OpenMM: {str(error).partition('.')[0]}") from error
