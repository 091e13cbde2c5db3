"""What LAMMPS is told of a structure: types, bonds and angles."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from forcefree.errors import ForcefreeError
from forcefree.reference.engines.lammps_data import LammpsData
from forcefree.reference.engines.lammps_options import LammpsOptions

WATER = LammpsOptions(elements=["O", "H"], commands=["pair_style none"], bonds={"H-O": 1.3}, angles=["H-O-H"])


def test_bonds_and_angles_of_molecules_are_found_also_across_the_boundary() -> None:
    pair = molecule("H2O") + Atoms("OHH", molecule("H2O").positions + np.array([0.0, 0.0, 3.0]))
    pair.set_cell([8.0, 8.0, 8.0])
    pair.set_pbc(True)
    for shift in (0.0, 3.9):
        pair.positions += [0.0, shift, 0.0]
        pair.wrap()
        data = LammpsData.of(WATER, pair)
        assert sorted(sorted(bond[1:]) for bond in data.bonds) == [[1, 2], [1, 3], [4, 5], [4, 6]]
        assert sorted((angle[2], *sorted(angle[1::2])) for angle in data.angles) == [(1, 2, 3), (4, 5, 6)]
        np.testing.assert_array_equal(data.types, [1, 2, 2, 1, 2, 2])


def test_types_are_in_the_order_of_the_options_and_have_the_masses_of_the_structure() -> None:
    heavy = molecule("H2O")
    heavy.set_masses([15.999, 2.014, 2.014])
    data = LammpsData.of(LammpsOptions(elements=["C", "H", "O"], commands=["pair_style none"]), heavy)
    np.testing.assert_array_equal(data.types, [3, 2, 2])
    assert data.masses == [pytest.approx(12.011), 2.014, 15.999]


def test_the_file_holds_every_atom_inside_the_cell_to_the_last_digit() -> None:
    atoms = Atoms("ON", [[-1.0, 2.0, 1.0 / 3.0], [9.5, 0.1, 5.0]], cell=[4.0, 4.0, 4.0], pbc=True)
    options = LammpsOptions(elements=["O", "N"], charges={"O": -0.8, "N": 0.8}, commands=["pair_style none"])
    lines = LammpsData.of(options, atoms).text(options, atoms).splitlines()
    rows = [line.split() for line in lines[lines.index("Atoms # full") + 2 :]]
    np.testing.assert_array_equal([[float(x) for x in row[4:]] for row in rows], [[3.0, 2.0, 1.0 / 3.0], [1.5, 0.1, 1.0]])
    assert [row[3] for row in rows] == ["-0.8", "0.8"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"charges": {"N": 1.0}}, r"'N' is not among the elements \['O', 'H'\]"),
        ({"bonds": {"O-H-O": 1.0}}, "'O-H-O' must name 2 elements, such as O-H"),
        ({"angles": ["O-H"]}, "'O-H' must name 3 elements, such as O-H-O"),
        ({"units": "lj"}, "units"),
        ({"elements": ["O", "H", "Foo"]}, "'Foo' is not the symbol of an element, such as Ar"),
        ({"elements": ["O", "H", "O"]}, "'O' is listed twice; each element has one atom type"),
        ({"charges": {"O": -0.8}}, "charges leave out H; give every element one, 0 where it has none"),
        ({"commands": ["pair_style none", "fix 1 all nve"]}, "'fix 1 all nve' is no part of a potential"),
        ({"commands": ["run 10"]}, "'run 10' is no part of a potential"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        LammpsOptions.parse({"elements": ["O", "H"], "commands": ["pair_style none"], **changes}, "calculator lammps")


@pytest.mark.parametrize(
    ("atoms", "sentence"),
    [
        (molecule("NH3"), "the structure has N, but the options of lammps list the elements O, H"),
        (Atoms("O", cell=[9.0, 9.0, 9.0], pbc=[True, True, False]), r"periodic in all directions or in none, not \[True, True, False\]"),
        (Atoms("H2", masses=[1.0, 2.0]), r"the structure has H of \[1.0, 2.0\] amu"),
        (Atoms("OHH", 2.0 * molecule("H2O").positions), "no bond H-O shorter than 1.3 Å, the nearest such atoms are 1.94 Å apart"),
        (Atoms("OHH", [[0, 0, 0], [0, 0, 1], [0, 0, 4]]), "the structure has no angle H-O-H; list both its bonds"),
        (Atoms("OH", [[0, 0, 0], [0, 0, 1]], cell=[9, 9, 2], pbc=True), r"atoms 0 and 1 are bonded .* two sides of the cell"),
    ],
)
def test_structures_that_do_not_suit_are_refused(atoms: Atoms, sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        LammpsData.of(WATER, atoms)


def test_a_cell_with_a_net_charge_is_refused_and_a_molecule_is_not() -> None:
    options = LammpsOptions(elements=["Na"], charges={"Na": 1.0}, commands=["pair_style none"])
    ions = Atoms("Na2", [[0, 0, 0], [0, 0, 4]], cell=[8, 8, 8])
    LammpsData.of(options, ions)
    ions.pbc = True
    with pytest.raises(ForcefreeError, match="must be neutral, but the charges of the options add up to 2 e"):
        LammpsData.of(options, ions)


def test_commands_of_a_potential_pass_with_comments_and_with_charges_that_equilibrate() -> None:
    commands = ["# a comment", "pair_style reaxff NULL  # style", "fix charges all qeq/reaxff 1 0.0 10.0 1.0e-6 reaxff"]
    assert LammpsOptions(elements=["O"], commands=commands).commands == commands
