"""The pairs that guards look at, and their vectors, against ASE."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.geometry import get_distances
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from forcefree.simulation.pairs import atom_pairs, close_pairs, displacements
from forcefree.state import State

SYSTEMS = [
    molecule("CH3CH2OH"),
    bulk("NaCl", "rocksalt", a=5.64, cubic=True),
    Atoms("O6", positions=np.random.default_rng(1).random((6, 3)) * 6.0, cell=[6.0, 7.0, 30.0], pbc=[True, True, False]),
]


def test_every_pair_of_every_system_and_none_between_systems() -> None:
    state = State.from_atoms([molecule("H2O"), Atoms("Ar"), molecule("CH4")])
    pairs = atom_pairs(state)
    assert pairs.shape == (2, 3 + 0 + 10)
    assert bool((pairs[0] < pairs[1]).all())
    assert torch.equal(state.system[pairs[0]], state.system[pairs[1]])
    assert len(set(map(tuple, pairs.T.tolist()))) == 13


@settings(max_examples=40, deadline=None)
@given(index=st.integers(0, 2), seed=st.integers(0, 2**16), turns=st.integers(-3, 3))
def test_displacements_are_the_nearest_images_of_unwrapped_atoms(index: int, seed: int, turns: int) -> None:
    rng = np.random.default_rng(seed)
    atoms = SYSTEMS[index].copy()
    atoms.rattle(0.4, rng=rng)
    _, expected = get_distances(atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    wandered = atoms.copy()
    wandered.positions += turns * rng.integers(-1, 2, (len(atoms), 3)) * np.asarray(atoms.pbc) @ atoms.cell.array
    state = State.from_atoms([wandered])
    pairs = atom_pairs(state)
    vectors = displacements(state, pairs)
    np.testing.assert_allclose(vectors.norm(dim=1), expected[pairs[0], pairs[1]], atol=1e-9)
    np.testing.assert_allclose(displacements(state, pairs.flip(0)).norm(dim=1), vectors.norm(dim=1), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(index=st.integers(0, 2), seed=st.integers(0, 2**16), cutoff=st.floats(1.0, 5.0))
def test_close_pairs_are_those_of_ase_once_each(index: int, seed: int, cutoff: float) -> None:
    atoms = SYSTEMS[index].copy()
    atoms.rattle(0.2, rng=np.random.default_rng(seed))
    i, j = neighbor_list("ij", atoms, cutoff)
    expected = {(a, b) for a, b in zip(i.tolist(), j.tolist(), strict=True) if a < b}
    first = State.from_atoms([molecule("H2O"), atoms])
    found = close_pairs(first, cutoff)
    mine = found[:, found[0] >= 3] - 3
    assert sorted(map(tuple, mine.T.tolist())) == sorted(expected)
