"""A structure as LAMMPS reads it: types, charges, bonds and angles in a data file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from forcefree.errors import ForcefreeError
from forcefree.reference.engines.lammps_bonds import find_angles, find_bonds
from forcefree.reference.engines.lammps_options import LammpsOptions
from forcefree.reference.engines.lower_cell import LowerCell

_MARGIN = 1.0
"""Å around an isolated system; the box follows the atoms from then on."""

_LARGEST_CHARGE = 1e-6
"""e; more than rounding of a neutral cell leaves."""


@dataclass(frozen=True)
class LammpsData:
    """What a data file says.

    Attributes:
        cell: Of the structure, turned.
        types: Atom type of each atom from 1, shape (n_atoms,).
        masses: Of each type, amu.
        bonds: Rows of bond type and two atoms, all from 1.
        angles: Rows of angle type and three atoms, the centre in the middle, all from 1.
    """

    cell: LowerCell
    types: NDArray[np.int64]
    masses: list[float]
    bonds: list[tuple[int, int, int]]
    angles: list[tuple[int, int, int, int]]

    @classmethod
    def of(cls, options: LammpsOptions, atoms: Atoms) -> LammpsData:
        """Find types, bonds and angles of a structure.

        Raises:
            ForcefreeError: If it has an element that is not listed, isotopes of one element, is periodic in some directions only,
                has a net charge and is periodic, or lacks bonds or angles that the options list although it has their elements.
        """
        symbols = atoms.get_chemical_symbols()
        stranger = next((symbol for symbol in symbols if symbol not in options.elements), None)
        if stranger is not None:
            raise ForcefreeError(f"the structure has {stranger}, but the options of lammps list the elements {', '.join(options.elements)}")
        if bool(atoms.pbc.any()) and not bool(atoms.pbc.all()):
            raise ForcefreeError(f"lammps takes systems that are periodic in all directions or in none, not {atoms.pbc.tolist()}")
        types = np.array([options.elements.index(symbol) + 1 for symbol in symbols])
        masses = []
        for number, symbol in enumerate(options.elements, start=1):
            present = np.unique(atoms.get_masses()[types == number])
            if len(present) > 1:
                raise ForcefreeError(f"lammps gives all atoms of an element one mass; the structure has {symbol} of {present.tolist()} amu")
            masses.append(float(present[0]) if len(present) else float(Atoms(symbol).get_masses()[0]))
        charge = sum(options.charges.get(symbol, 0.0) for symbol in symbols)
        if bool(atoms.pbc.any()) and abs(charge) > _LARGEST_CHARGE:
            raise ForcefreeError(f"a periodic cell must be neutral, but the charges of the options add up to {charge:g} e")
        bonds = find_bonds(options, atoms)
        return cls(LowerCell.of(atoms.cell.array * atoms.pbc[:, None]), types, masses, bonds, find_angles(options, symbols, bonds))

    def text(self, options: LammpsOptions, atoms: Atoms) -> str:
        """The file, with the atoms inside the cell."""
        positions = self.cell.into(atoms.positions)
        positions = positions - self.cell.images(positions) @ self.cell.matrix
        charges = [options.charges.get(symbol, 0.0) for symbol in atoms.symbols]
        rows = [f"{i} 1 {t} {q!r} {_numbers(x)}" for i, (t, q, x) in enumerate(zip(self.types, charges, positions, strict=True), start=1)]
        counts = {
            "atoms": len(atoms),
            "atom types": len(self.masses),
            "bonds": len(self.bonds),
            "bond types": len(options.bonds),
            "angles": len(self.angles),
            "angle types": len(options.angles),
        }
        parts = ["made by forcefree", "\n".join(f"{count} {noun}" for noun, count in counts.items()), self._box(atoms)]
        parts += _section("Masses", [f"{i} {mass!r}" for i, mass in enumerate(self.masses, start=1)])
        parts += _section("Atoms # full", rows)
        for title, members in (("Bonds", self.bonds), ("Angles", self.angles)):
            parts += _section(title, [f"{i} {' '.join(map(str, row))}" for i, row in enumerate(members, start=1)])
        return "\n\n".join(parts) + "\n"

    def _box(self, atoms: Atoms) -> str:
        (xx, _, _), (xy, yy, _), (xz, yz, zz) = self.cell.matrix
        low, high = np.zeros(3), np.array([xx, yy, zz])
        if not atoms.pbc.any():
            low, high = atoms.positions.min(axis=0) - _MARGIN, atoms.positions.max(axis=0) + _MARGIN
        lines = [f"{_numbers([low[i], high[i]])} {axis}lo {axis}hi" for i, axis in enumerate("xyz")]
        return "\n".join([*lines, *([f"{_numbers([xy, xz, yz])} xy xz yz"] if xy or xz or yz else [])])


def _section(title: str, rows: list[str]) -> list[str]:
    return [title, "\n".join(rows)] if rows else []


def _numbers(values: Iterable[float]) -> str:
    return " ".join(repr(float(value)) for value in values)
