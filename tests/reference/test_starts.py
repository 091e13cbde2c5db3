"""Start structures, good and bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms
from ase.io import write

from forcefree.errors import ForcefreeError
from forcefree.reference.config import StartConfig
from forcefree.reference.starts import bundled_starts, check_structure, find_start, load_start, read_structure


def test_names_files_and_smiles_give_the_same_molecule(tmp_path: Path) -> None:
    path = tmp_path / "ethanol.xyz"
    write(path, molecule("CH3CH2OH"))
    by_name = load_start(StartConfig(name="ethanol"))
    by_file = load_start(StartConfig(file=path))
    by_smiles = load_start(StartConfig(smiles="CCO"), seed=4)
    for atoms in (by_file, by_smiles, find_start("CH3CH2OH"), find_start(str(path))):
        assert sorted(atoms.numbers) == sorted(by_name.numbers)
    np.testing.assert_allclose(by_file.positions, by_name.positions, atol=1e-7)
    lengths = by_smiles.get_all_distances()[np.triu_indices(9, 1)]
    assert lengths.min() == pytest.approx(0.97, abs=0.03)


def test_smiles_are_reproducible_and_carry_their_charge() -> None:
    first, again, other = (load_start(StartConfig(smiles="C[NH3+]"), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.positions, again.positions)
    assert not np.array_equal(first.positions, other.positions)
    assert first.get_initial_charges().sum() == 1.0


def test_a_file_gives_its_last_frame_with_cell_and_masses(tmp_path: Path) -> None:
    path = tmp_path / "quartz.extxyz"
    first, last = bulk("Si", cubic=True), bulk("Si", cubic=True)
    last.rattle(0.01, seed=1)
    write(path, [first, last])
    atoms = read_structure(path)
    np.testing.assert_allclose(atoms.positions, last.positions, atol=1e-7)
    assert atoms.pbc.all()
    heavy = molecule("H2O")
    heavy.set_masses([15.999, 2.014, 2.014])
    write(tmp_path / "heavy.traj", heavy)
    np.testing.assert_array_equal(read_structure(tmp_path / "heavy.traj").get_masses(), heavy.get_masses())


def test_every_bundled_start_can_be_started_from() -> None:
    assert "ethanol" in bundled_starts()
    for name in bundled_starts():
        assert len(find_start(name)) > 0


def _water(**changes: object) -> Atoms:
    atoms = molecule("H2O")
    for name, value in changes.items():
        setattr(atoms, name, value)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "sentence"),
    [
        (Atoms(), "x.xyz has zero atoms"),
        (_water(positions=np.array([[0, 0, 0], [np.nan, 0, 0], [0, 1, 0]])), r"not a finite number \(atom 1\)"),
        (_water(positions=np.array([[0, 0, 0], [0, 0, 0.1], [0, 1, 0]])), "atoms 0 and 1 only 0.100 Å apart"),
        (_water(positions=molecule("H2O").positions / 10), "apart; no two atoms come closer than 0.4 Å, check the units"),
        (Atoms("HX", [[0, 0, 0], [0, 0, 1]]), r"an atom without an element \(atomic number 0\)"),
        (Atoms("H2", [[0, 0, 0], [0, 0, 1]], pbc=True), "does not span the periodic directions"),
        (Atoms("H2", [[0, 0, 0], [0, 0, 1]], cell=[5, 5, 0], pbc=True), "does not span the periodic directions"),
        (Atoms("H2", [[0, 0, 0.1], [0, 0, 4.9]], cell=[5, 5, 5], pbc=True), "only 0.200 Å apart"),
        (Atoms("H", cell=[0.1, 5, 5], pbc=True), "only 0.100 Å apart"),
    ],
)
def test_an_unusable_structure_is_one_sentence(atoms: Atoms, sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        check_structure(atoms, "x.xyz")


def test_constraints_are_refused_rather_than_dropped() -> None:
    atoms = molecule("H2O")
    atoms.set_constraint(FixAtoms([0]))
    with pytest.raises(ForcefreeError, match="every atom moves freely here, so remove them"):
        check_structure(atoms, "x.traj")


def test_slabs_with_an_open_direction_are_fine() -> None:
    assert len(check_structure(Atoms("H2", [[0, 0, 0], [0, 0, 1]], cell=[5, 5, 0], pbc=[True, True, False]), "slab")) == 2


@pytest.mark.parametrize("name", ["x.xyz", "x.cif", "POSCAR", "x.pdb", "x.unknown", "x.traj"])
def test_a_truncated_or_foreign_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("9\nethanol\nC 0.0 0.0 0.0\nC 1.5")
    with pytest.raises(ForcefreeError, match=r"cannot be read|zero atoms") as caught:
        read_structure(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match=r"none.xyz does not exist"):
        find_start(str(tmp_path / "none.xyz"))
    with pytest.raises(ForcefreeError, match="'ethnol' is neither a file nor a known start; bundled are ethanol"):
        find_start("ethnol")


@pytest.mark.parametrize("smiles", ["C1CC", "", "not a smiles"])
def test_a_wrong_smiles_is_one_sentence(smiles: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ForcefreeError, match="is not a SMILES string that RDKit understands"):
        load_start(StartConfig(smiles=smiles))
    assert capfd.readouterr().err == ""
