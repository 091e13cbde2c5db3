"""All pairs of all images at once are those that a search cell by cell finds, in the same order."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from forcefree.graph import find_pairs
from forcefree.image_pairs import MOST_CANDIDATES, image_pairs, suits_images
from forcefree.state import State


def batch() -> State:
    cells = []
    for seed, scale in ((1, 1.0), (2, 1.08)):
        atoms = bulk("NaCl", "rocksalt", a=5.6 * scale, cubic=True)
        atoms.set_cell(atoms.cell.array + np.array([[0, 0, 0], [0.7, 0, 0], [-0.4, 1.1, 0]]), scale_atoms=True)
        atoms.rattle(0.2, seed=seed)
        atoms.positions += 40.0 * seed  # unwrapped, some cells away
        atoms.positions[3] -= 11.0
        cells.append(atoms)
    return State.from_atoms(cells)


def test_pairs_are_those_of_the_cell_by_cell_search() -> None:
    state = batch()
    for cutoff in (2.1, 4.0, 7.5):
        found, wanted = image_pairs(state, cutoff), find_pairs(state, cutoff)
        assert wanted.shift is not None
        for ours, theirs in zip(found, (wanted.receiver, wanted.sender, wanted.shift), strict=True):
            assert torch.equal(ours, theirs)


def test_only_small_periodic_cells_of_one_size_are_looked_at_so() -> None:
    state = batch()
    assert suits_images(state, 5.0)
    assert not suits_images(state.with_(pbc=torch.tensor([[True, True, False]] * 2)), 5.0)
    assert not suits_images(State.from_atoms([bulk("NaCl", "rocksalt", a=5.6), bulk("NaCl", "rocksalt", a=5.6, cubic=True)]), 5.0)
    side = round((MOST_CANDIDATES / 27) ** 0.5) + 8
    large = Atoms(f"Ar{side}", cell=[200.0] * 3, pbc=True)
    assert not suits_images(State.from_atoms([large]), 5.0)
    lost = state.with_(positions=state.positions.clone().index_fill(0, torch.tensor([1]), float("nan")))
    assert not suits_images(lost, 5.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_pairs_of_the_processor() -> None:
    large = State.from_atoms([bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (9, 9, 9)])
    for state in (batch(), large):
        found, wanted = find_pairs(state.to("cuda"), 4.0), find_pairs(state, 4.0)
        assert found.shift is not None
        for ours, theirs in zip((found.receiver, found.sender, found.shift), (wanted.receiver, wanted.sender, wanted.shift), strict=True):
            assert torch.equal(ours.cpu(), theirs)
