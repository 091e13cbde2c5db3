"""Bonds from covalent radii, and the names of what follows from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

from forcefree.analysis.topology import bonded_pairs, internal_coordinates
from forcefree.data.trajectory import Trajectory


def _still(atoms: Atoms, frames: int = 3) -> Trajectory:
    positions = np.repeat(atoms.positions[None], frames, axis=0)
    return Trajectory(
        "r", atoms.numbers.astype(np.int64), atoms.get_masses(), np.arange(frames) * 1.0, positions,
        cell=np.asarray(atoms.cell), pbc=np.asarray(atoms.pbc),
    )  # fmt: skip


def test_ethanol_has_its_bonds_angles_and_dihedrals() -> None:
    run = _still(molecule("CH3CH2OH"))
    bonds = bonded_pairs([run])
    assert len(bonds) == 8
    kinds = {coordinates.kind: coordinates for coordinates in internal_coordinates(run, bonds)}
    assert {kind: len(c.names) for kind, c in kinds.items()} == {"bond": 8, "angle": 13, "dihedral": 12}
    elements = {tuple(sorted(name.translate(str.maketrans("", "", "0123456789")).split("-"))) for name in kinds["bond"].names}
    assert elements == {("C", "C"), ("C", "O"), ("C", "H"), ("H", "O")}
    assert all(len(c.names) == len(c.atoms) for c in kinds.values())


def test_names_carry_element_and_index() -> None:
    run = _still(molecule("H2O"))
    angle = internal_coordinates(run, bonded_pairs([run]))[1]
    assert angle.names == ("H1-O0-H2",)
    assert angle.atoms.tolist() == [[1, 0, 2]]


def test_a_bond_that_breaks_for_a_moment_is_still_a_bond() -> None:
    run = _still(molecule("H2O"), 11)
    stretched = run.positions.copy()
    stretched[:5, 1] += 3.0
    assert bonded_pairs([replace(run, positions=stretched)]) == [(0, 1), (0, 2)]


def test_bonds_cross_cell_faces_and_share_names_when_periodic() -> None:
    water = molecule("H2O")
    water.positions += 5.0 - water.positions[1]
    box = water.copy()
    for shift in ([5.0, 0.0, 0.0], [0.0, 5.0, 0.0]):
        other = water.copy()
        other.positions += shift
        box += other
    box.set_cell(10.0 * np.eye(3))
    box.pbc = True
    box.wrap()
    run = _still(box)
    bonds = bonded_pairs([run])
    assert bonds == [(0, 1), (0, 2), (3, 4), (3, 5), (6, 7), (6, 8)]
    names = [coordinates.names for coordinates in internal_coordinates(run, bonds)]
    assert names == [("H-O",), ("H-O-H",)]


def test_lone_atoms_have_no_coordinates() -> None:
    run = _still(bulk("Ar", "fcc", a=5.3, cubic=True))
    assert bonded_pairs([run]) == []
    assert internal_coordinates(run, []) == []


def test_rings_of_three_give_no_dihedral_onto_themselves() -> None:
    run = _still(molecule("C3H6_D3h"))
    dihedrals = internal_coordinates(run, bonded_pairs([run]))[2]
    assert all(len(set(atoms)) == 4 for atoms in dihedrals.atoms.tolist())


def test_huge_kinds_are_thinned() -> None:
    crystal = bulk("Cu", cubic=True) * (3, 3, 3)
    run = _still(crystal, 1)
    kinds = internal_coordinates(run, bonded_pairs([run]))
    assert kinds[0].names == ("Cu-Cu",)
    assert len(kinds[0].atoms) == 6 * len(crystal)
    assert all(len(coordinates.atoms) <= 5000 for coordinates in kinds)
