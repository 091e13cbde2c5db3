"""Neighbour lists against brute force, in every kind of cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list

from forcefree.errors import ForcefreeError
from forcefree.graph import LARGEST_ALL_PAIRS, Neighbours, find_pairs, sum_by_receiver
from forcefree.state import State


def distances(state: State, cutoff: float) -> list[tuple[int, float]]:
    pairs = find_pairs(state, cutoff)
    lengths = pairs.vectors(state, state.positions).norm(dim=-1)
    return sorted((int(i), round(float(d), 8)) for i, d in zip(pairs.receiver, lengths, strict=True) if d <= cutoff)


def cells() -> list[Atoms]:
    triclinic = bulk("Cu", "fcc", a=3.6) * (3, 2, 2)
    triclinic.rattle(0.1, seed=1)
    rng = np.random.default_rng(0)
    cloud = Atoms("H60", positions=12.0 * rng.random((60, 3)))
    slab = Atoms("O8", positions=4.0 * rng.random((8, 3)), cell=[4.0, 5.0, 30.0], pbc=[True, True, False])
    return [molecule("CH3CH2OH"), triclinic, bulk("Si"), cloud, slab]


@pytest.mark.parametrize("index", range(5))
def test_every_pair_and_image_is_found(index: int) -> None:
    atoms = cells()[index]
    i, d = neighbor_list("id", atoms, 5.0)
    expected = sorted((int(a), round(float(b), 8)) for a, b in zip(i, d, strict=True))
    assert distances(State.from_atoms([atoms]), 5.0) == expected


def test_a_batch_finds_what_each_system_alone_finds() -> None:
    molecules = [molecule("CH4"), bulk("Cu", cubic=True), molecule("H2O")]
    offset, expected = 0, []
    for atoms in molecules:
        expected += [(i + offset, d) for i, d in distances(State.from_atoms([atoms]), 4.0)]
        offset += len(atoms)
    assert distances(State.from_atoms(molecules), 4.0) == sorted(expected)


def test_all_pairs_are_sorted_and_uniform_where_molecules_are_alike() -> None:
    alike = find_pairs(State.from_atoms([molecule("H2O")] * 3), 1.0)
    assert alike.degree == 2
    assert alike.receiver.tolist() == sorted(alike.receiver.tolist())
    assert len(alike.sender) == 18
    assert not bool((alike.sender == alike.receiver).any())
    mixed = find_pairs(State.from_atoms([molecule("H2O"), molecule("CH4")]), 1.0)
    assert mixed.degree == 0
    assert len(mixed.receiver) == 6 + 20


def test_sums_by_receiver_agree() -> None:
    receiver = torch.arange(4).repeat_interleave(3)
    messages = torch.randn(12, 2, 5)
    torch.testing.assert_close(sum_by_receiver(messages, receiver, 4, 3), sum_by_receiver(messages, receiver, 4, 0))


def test_a_skin_spares_searches_and_changes_nothing() -> None:
    state = State.from_atoms([bulk("Cu", cubic=True) * (3, 3, 3)])
    lists = Neighbours(4.0, skin=1.0)
    first = lists(state)
    nudged = state.with_(positions=state.positions + 0.2)
    assert lists(nudged) is first
    far = state.with_(positions=state.positions + torch.randn(state.positions.shape, dtype=torch.float64))
    assert lists(far) is not first
    moved = nudged.with_(positions=state.positions + 0.25 * torch.rand(state.positions.shape, dtype=torch.float64))
    within = Neighbours(4.0, skin=1.0)
    within(state)
    kept = within(moved).vectors(moved, moved.positions).norm(dim=-1)
    fresh = find_pairs(moved, 4.0).vectors(moved, moved.positions).norm(dim=-1)
    assert sorted(kept[kept <= 4.0].tolist()) == pytest.approx(sorted(fresh.tolist()))


def test_without_a_skin_every_state_is_searched_anew() -> None:
    state = State.from_atoms([bulk("Cu", cubic=True)])
    lists = Neighbours(4.0)
    assert lists(state) is not lists(state.with_(positions=state.positions + 1e-9))


def test_large_isolated_systems_use_the_cell_list() -> None:
    atoms = Atoms(f"H{LARGEST_ALL_PAIRS + 1}", positions=[[3.0 * k, 0.0, 0.0] for k in range(LARGEST_ALL_PAIRS + 1)])
    assert len(find_pairs(State.from_atoms([atoms]), 3.5).receiver) == 2 * LARGEST_ALL_PAIRS


def test_a_cutoff_must_be_positive() -> None:
    with pytest.raises(ForcefreeError, match="must be positive"):
        Neighbours(0.0)
