"""Bonds and angles of a structure: by distance and element, once, for good."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from ase import Atoms
from ase.data import atomic_numbers
from ase.neighborlist import neighbor_list

from forcefree.errors import ForcefreeError
from forcefree.reference.engines.lammps_options import LammpsOptions


def find_bonds(options: LammpsOptions, atoms: Atoms) -> list[tuple[int, int, int]]:
    """Rows of bond type and two atoms, all from 1.

    Raises:
        ForcefreeError: If a pair of elements that the structure has is bonded nowhere, or two atoms are bonded through two sides
            of the cell, which LAMMPS would take for one bond twice.
    """
    rows = []
    for number, (pair, longest) in enumerate(options.bonds.items(), start=1):
        one, other = (atomic_numbers[symbol] for symbol in pair.split("-"))
        near = zip(*neighbor_list("ij", atoms, {(one, other): longest}), strict=True)
        found = [(int(i), int(j)) for i, j in near if i <= j and {int(atoms.numbers[i]), int(atoms.numbers[j])} == {one, other}]
        if not found and _present(pair, atoms):
            raise ForcefreeError(
                f"the structure has no bond {pair} shorter than {longest:g} Å, the nearest such atoms are "
                f"{_shortest(atoms, one, other):.3g} Å apart; list a longer distance, or leave the bond out"
            )
        (i, j), times = Counter(found).most_common(1)[0] if found else ((0, 1), 1)
        if i == j or times > 1:
            raise ForcefreeError(
                f"atoms {i} and {j} are bonded ({pair}, shorter than {longest:g} Å) through two sides of the cell; repeat the cell"
            )
        rows += [(number, i + 1, j + 1) for i, j in found]
    return rows


def find_angles(options: LammpsOptions, symbols: list[str], bonds: list[tuple[int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Rows of angle type and three atoms, the centre in the middle, all from 1.

    Raises:
        ForcefreeError: If there is no angle of three elements that the structure has.
    """
    partners: dict[int, list[int]] = {}
    for _, i, j in bonds:
        partners.setdefault(i, []).append(j)
        partners.setdefault(j, []).append(i)
    rows = []
    for number, triple in enumerate(options.angles, start=1):
        first, centre, last = triple.split("-")
        found = [
            (number, one, atom, other)
            for atom, bonded in sorted(partners.items())
            for one, other in combinations(bonded, 2)
            if symbols[atom - 1] == centre and {symbols[one - 1], symbols[other - 1]} == {first, last}
        ]
        if not found and not Counter(triple.split("-")) - Counter(symbols):
            raise ForcefreeError(f"the structure has no angle {triple}; list both its bonds, or leave the angle out")
        rows += found
    return rows


def _present(pair: str, atoms: Atoms) -> bool:
    return not Counter(pair.split("-")) - Counter(atoms.get_chemical_symbols())


def _shortest(atoms: Atoms, one: int, other: int) -> float:
    """Å between the nearest two different atoms of two elements."""
    others = [int(j) for j in (atoms.numbers == other).nonzero()[0]]
    return min(
        float(atoms.get_distances(i, [j for j in others if j != i], mic=bool(atoms.pbc.all())).min())
        for i in (int(i) for i in (atoms.numbers == one).nonzero()[0])
        if others != [i]
    )
