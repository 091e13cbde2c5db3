"""One LAMMPS instance that holds one structure, spoken to in Å, fs and eV."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError
from forcefree.reference.engines.engine import Frame, RunawayError
from forcefree.reference.engines.lammps_data import LammpsData
from forcefree.reference.engines.lammps_library import open_lammps
from forcefree.reference.engines.lammps_options import LammpsOptions
from forcefree.units import KCAL_PER_MOL

_ENERGY = {"metal": 1.0, "real": KCAL_PER_MOL}
_TIME = {"metal": 1000.0, "real": 1.0}
_RUNAWAY = ("Lost atoms", "Non-numeric", "Out of range atoms", "atoms missing", "atoms have non-numeric", "missing on proc")
"""What LAMMPS says, among other words, when atoms fly apart."""


class LammpsSession:
    """A structure under a potential in LAMMPS.

    Args:
        options: The potential.
        atoms: Structure; its bonds are found here, once.

    Raises:
        ForcefreeError: If LAMMPS is missing or stops at one of the commands, or the structure does not suit it.
    """

    def __init__(self, options: LammpsOptions, atoms: Atoms) -> None:
        self._energy, self._time = _ENERGY[options.units], _TIME[options.units]
        self._data = LammpsData.of(options, atoms)
        self._images: Floats = np.zeros((len(atoms), 3))
        self._lammps = open_lammps()
        periodic = bool(atoms.pbc.all())
        self.command(f"units {options.units}", "atom_style full", "atom_modify map yes", f"boundary {'p p p' if periodic else 's s s'}")
        if not periodic:  # bins of a box around few atoms would be far smaller than the cutoff
            self.command("neighbor 2.0 nsq")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "structure.data"
            file.write_text(self._data.text(options, atoms), encoding="ascii")
            self.command(f'read_data "{file}"')
        for kind, names in (("atom", options.elements), ("bond", list(options.bonds)), ("angle", options.angles)):
            if names:
                self.command(f"labelmap {kind} " + " ".join(f"{number} {name}" for number, name in enumerate(names, start=1)))
        self.command(*options.commands)
        self.command("thermo_style custom step pe", "thermo_modify norm no lost error")

    def command(self, *lines: str) -> None:
        """Run LAMMPS commands.

        Raises:
            RunawayError: If atoms fly apart.
            ForcefreeError: If LAMMPS stops at one for any other reason.
        """
        for line in lines:
            try:
                self._lammps.command(line)
            except Exception as error:  # the interface raises bare exceptions
                reason = " ".join(str(error).removeprefix("ERROR: ").split())
                kind = RunawayError if any(sign in reason for sign in _RUNAWAY) else ForcefreeError
                raise kind(f"LAMMPS stopped at '{line}': {reason}") from error

    def duration(self, femtoseconds: float) -> str:
        """A time in LAMMPS' unit."""
        return repr(femtoseconds / self._time)

    def pull(self, force: float) -> str:
        """A force in eV/Å in LAMMPS' unit."""
        return repr(force / self._energy)

    def place(self, positions: Floats, velocities: Floats | None = None) -> None:
        """Move the atoms and compute their forces.

        Args:
            positions: Å, unwrapped, shape (n_atoms, 3).
            velocities: Å/fs, shape (n_atoms, 3), or None to leave them as they are.
        """
        cell = self._data.cell
        turned = cell.into(positions)
        self._images = cell.images(turned)
        self._scatter("x", turned - self._images @ cell.matrix)
        self._lammps.scatter_atoms("image", 0, 3, np.zeros(positions.shape, dtype=np.int32).ctypes)
        if velocities is not None:
            self._scatter("v", cell.into(velocities) * self._time)
        self.command("run 0 post no")

    def frame(self) -> Frame:
        """The present moment, in the order of the structure."""
        cell = self._data.cell
        flags = np.array(self._lammps.gather_atoms("image", 0, 3), dtype=np.float64).reshape(-1, 3)
        positions = self._gather("x") + (self._images + flags) @ cell.matrix
        return Frame(
            cell.back(positions),
            cell.back(self._gather("v")) / self._time,
            float(self._lammps.get_thermo("pe")) * self._energy,
            cell.back(self._gather("f")) * self._energy,
        )

    def _gather(self, name: str) -> Floats:
        values: Any = self._lammps.gather_atoms(name, 1, 3)
        return np.array(values, dtype=np.float64).reshape(-1, 3)

    def _scatter(self, name: str, values: NDArray[np.float64]) -> None:
        self._lammps.scatter_atoms(name, 1, 3, np.ascontiguousarray(values).ctypes)
