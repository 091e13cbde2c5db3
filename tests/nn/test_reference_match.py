"""Which atom stands for which: symmetries of known graphs, molecules that are not the reference, and bonds that break."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.graph import find_pairs
from forcefree.nn.bond_graph import BondWeights, laplacian_of, whole_bonds
from forcefree.nn.reference_match import Matcher, intact
from forcefree.state import State


def bonds(*molecules: Atoms) -> tuple[State, Tensor]:
    state = State.from_atoms(molecules)
    pairs = find_pairs(state, 6.0)
    distances = pairs.vectors(state, state.positions).norm(dim=-1)
    return state, -laplacian_of(state, pairs, BondWeights(6.0).double()(distances, state.numbers, pairs))


def matcher(atoms: Atoms) -> Matcher:
    return Matcher(atoms.numbers.astype(np.int64), bonded(atoms).numpy())


def bonded(atoms: Atoms) -> Tensor:
    return whole_bonds(torch.from_numpy(atoms.positions), torch.from_numpy(atoms.numbers))


@pytest.mark.parametrize(("name", "symmetries"), [("C6H6", 12), ("CH3CH2OH", 12), ("H2O", 2), ("CH4", 24)])
def test_symmetries_of_known_graphs(name: str, symmetries: int) -> None:
    found = matcher(molecule(name))(*bonds(molecule(name), molecule(name)))
    assert len(found.system) == 2 * 2 * symmetries
    assert sorted(found.handedness.unique().tolist()) == [-1.0, 1.0]
    assert found.atoms[found.system == 1].min() == len(molecule(name))


def test_every_branch_keeps_elements_and_bonds() -> None:
    ethanol = molecule("CH3CH2OH")
    shuffled = ethanol[[4, 8, 0, 2, 1, 7, 3, 6, 5]]
    state, weights = bonds(shuffled)
    found = matcher(ethanol)(state, weights)
    assert bool((state.numbers[found.atoms] == torch.from_numpy(ethanol.numbers)).all())
    torch.testing.assert_close(intact(found, weights, bonded(ethanol)), torch.ones(24, dtype=torch.float64), rtol=0.0, atol=0.0)


def test_other_molecules_and_crystals_are_not_the_reference() -> None:
    find = matcher(molecule("CH3CH2OH"))
    assert not len(find(*bonds(molecule("CH3OCH3"), molecule("CH3OH"))).system), "an isomer has other bonds"
    state, weights = bonds(molecule("CH3CH2OH"))
    assert len(find(state, weights).system) == 24
    assert not len(find(state.with_(pbc=torch.ones(1, 3, dtype=torch.bool)), weights).system)


def test_a_bond_that_breaks_or_forms_fades() -> None:
    water = molecule("H2O")
    find, reference = matcher(water), bonded(water)

    def share(stretch: float) -> Tensor:
        longer = water.copy()
        longer.positions[1] = longer.positions[0] + stretch * (longer.positions[1] - longer.positions[0])
        state, weights = bonds(longer)
        return intact(find(state, weights), weights, reference).sum()

    shares = torch.stack([share(stretch) for stretch in np.linspace(1.0, 1.6, 61)])
    assert shares[0] == 4.0
    assert shares[-1] == 0.0
    assert shares.diff().max() <= 0.0
    assert shares.diff().abs().max() < 0.4


def test_a_collapsed_molecule_is_not_the_reference_and_takes_no_time_to_find_out() -> None:
    ethanol = molecule("CH3CH2OH")
    find, (state, _) = matcher(ethanol), bonds(ethanol)
    for weight in (0.5, 1.0):
        everywhere = weight * (1.0 - torch.eye(9, dtype=torch.float64))[None]
        assert not len(find(state, everywhere).system)


def test_branches_that_would_bond_what_is_not_bonded_have_no_share_and_are_left_out() -> None:
    water = molecule("H2O")
    find, (state, weights) = matcher(water), bonds(water)
    for extra in (0.0, 0.5, 1.0):
        weights[0, 1, 2] = weights[0, 2, 1] = extra
        found = find(state, weights)
        assert len(found.system) == (0 if extra == 1.0 else 4)
        assert float(intact(found, weights, bonded(water)).sum()) == 4.0 * (1.0 - extra)


def test_only_some_of_the_bond_patterns_are_remembered() -> None:
    water = molecule("H2O")
    find, (state, _) = matcher(water), bonds(water)
    draw = torch.Generator().manual_seed(0)
    for _ in range(2000):
        upper = torch.randint(0, 3, (1, 3, 3), generator=draw).double().triu(1) / 2.0
        find(state, upper + upper.transpose(1, 2))
    assert len(find._known) <= 27 + 1

    chain = matcher(carbons := molecule("C6H6")[:6])
    state, _ = bonds(carbons)
    for _ in range(400):
        upper = torch.randint(0, 2, (1, 6, 6), generator=draw).double().triu(1)
        chain(state, upper + upper.transpose(1, 2))
    assert len(chain._known) == 256


def test_unusable_references_are_sentences() -> None:
    with pytest.raises(ForcefreeError, match="is not one molecule"):
        matcher(molecule("H2O") + Atoms("He", positions=[[9.0, 0.0, 0.0]]))
    with pytest.raises(ForcefreeError, match="can be renumbered in 72 ways, more than the 64"):
        matcher(molecule("C2H6"))
    with pytest.raises(ForcefreeError, match="can be renumbered in over 1024 ways"):
        matcher(molecule("isobutane"))
