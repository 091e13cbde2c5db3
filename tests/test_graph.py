"""Neighbour lists against brute force, in every kind of cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from forcefree.errors import ForcefreeError
from forcefree.graph import LARGEST_ALL_PAIRS, Neighbours, Pairs, find_pairs, sum_by_receiver
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


def exact(pairs: Pairs) -> tuple[list[int], list[int], list[list[int]]]:
    assert pairs.shift is not None
    return pairs.receiver.tolist(), pairs.sender.tolist(), pairs.shift.tolist()


@torch.no_grad()
def test_a_skin_spares_searches_and_changes_nothing() -> None:
    state = State.from_atoms([bulk("Cu", cubic=True) * (3, 3, 3)])
    lists = Neighbours(4.0, skin=1.0)
    lists(state)
    lists(state.with_(positions=state.positions + 0.2))
    assert lists.searches == 1
    moved = state.with_(positions=state.positions + 0.25 * torch.rand(state.positions.shape, dtype=torch.float64))
    kept = lists(moved)
    assert lists.searches == 1
    assert exact(kept) == exact(find_pairs(moved, 4.0))
    lists(state.with_(positions=state.positions + torch.randn(state.positions.shape, dtype=torch.float64)))
    assert lists.searches == 2


SMALL = [bulk("Si"), bulk("Cu", "fcc", a=3.6), Atoms("HO", positions=[[0.1, 0, 0], [1.0, 0.2, 0]], cell=[2.5, 3.0, 20.0], pbc=[1, 1, 0])]


@settings(max_examples=40, deadline=None)
@given(index=st.integers(0, len(SMALL) - 1), seed=st.integers(0, 2**16), step=st.floats(0.0, 0.28), skin=st.floats(0.6, 3.0))
@torch.no_grad()
def test_in_cells_smaller_than_the_cutoff_every_image_moves_with_its_atom(index: int, seed: int, step: float, skin: float) -> None:
    """Cells here are a fraction of twice the cutoff; the list was made for other positions than those it is asked for."""
    start = State.from_atoms([SMALL[index]])
    generator = torch.Generator().manual_seed(seed)
    arrow = torch.randn(start.positions.shape, generator=generator, dtype=torch.float64)
    moved = start.with_(positions=start.positions + step * arrow / arrow.norm(dim=1, keepdim=True))
    lists = Neighbours(5.0, skin=skin)
    lists(start)
    found = lists(moved)
    assert lists.searches == 1
    atoms = SMALL[index].copy()
    atoms.positions = moved.positions.numpy()
    expected = sorted(neighbor_list("d", atoms, 5.0))
    assert sorted(found.vectors(moved, moved.positions).norm(dim=-1).tolist()) == pytest.approx(expected)
    assert exact(found) == exact(Neighbours(5.0, skin=0.0)(moved))


@torch.no_grad()
def test_without_a_skin_every_state_is_searched_anew() -> None:
    state = State.from_atoms([bulk("Cu", cubic=True)])
    lists = Neighbours(4.0, skin=0.0)
    lists(state)
    lists(state.with_(positions=state.positions + 1e-9))
    assert lists.searches == 2


def test_while_gradients_are_recorded_there_is_no_skin() -> None:
    state = State.from_atoms([bulk("Cu", cubic=True)])
    lists = Neighbours(4.0)
    first = lists(state)
    assert exact(lists(state.with_(positions=state.positions + 0.01))) == exact(first)
    assert lists.searches == 2
    with torch.inference_mode():
        lists(state)
        lists(state.with_(positions=state.positions + 0.01))
    assert lists.searches == 3


def test_another_cell_or_other_systems_are_searched_anew() -> None:
    state = State.from_atoms([bulk("Cu", cubic=True)])
    lists = Neighbours(4.0)
    with torch.no_grad():
        lists(state)
        swollen = state.with_(cell=1.01 * state.cell)
        assert exact(lists(swollen)) == exact(find_pairs(swollen, 4.0))
        twice = state.repeat(2)
        assert exact(lists(twice)) == exact(find_pairs(twice, 4.0))
    assert lists.searches == 3


def test_a_system_whose_positions_are_no_numbers_does_not_take_its_mates_along() -> None:
    state = State.from_atoms([bulk("Cu", cubic=True)] * 2)
    positions = state.positions.clone()
    positions[1, 2] = torch.nan
    found = find_pairs(state.with_(positions=positions), 4.0)
    alone = find_pairs(State.from_atoms([bulk("Cu", cubic=True)]), 4.0)
    assert (found.receiver - 4).tolist() == alone.receiver.tolist()


def test_large_isolated_systems_use_the_cell_list() -> None:
    atoms = Atoms(f"H{LARGEST_ALL_PAIRS + 1}", positions=[[3.0 * k, 0.0, 0.0] for k in range(LARGEST_ALL_PAIRS + 1)])
    assert len(find_pairs(State.from_atoms([atoms]), 3.5).receiver) == 2 * LARGEST_ALL_PAIRS


def test_a_cutoff_must_be_positive() -> None:
    with pytest.raises(ForcefreeError, match="must be positive"):
        Neighbours(0.0)
    with pytest.raises(ForcefreeError, match="must not be negative, as -1 Å is"):
        Neighbours(4.0, skin=-1.0)


def test_pairs_are_found_where_positions_were_forecast_with_gradients() -> None:
    """As in training through several forecasts of a periodic system; the pairs are the same, and vectors carry the gradient."""
    state = State.from_atoms([cells()[1]])
    positions = state.positions.clone().requires_grad_()
    neighbours = Neighbours(4.0)
    pairs = neighbours(state.with_(positions=positions))
    plain = find_pairs(state, 4.0)
    assert torch.equal(pairs.receiver, plain.receiver)
    assert torch.equal(pairs.sender, plain.sender)
    (slope,) = torch.autograd.grad(pairs.vectors(state, positions).square().sum(), positions)
    assert bool(slope.isfinite().all())
    assert bool(slope.abs().max() > 0.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_pairs_of_the_processor() -> None:
    for atoms in [*cells()[1:3], bulk("Cu", cubic=True) * (9, 9, 9)]:
        state = State.from_atoms([atoms])
        found, wanted = find_pairs(state.to("cuda"), 4.0), find_pairs(state, 4.0)
        assert found.shift is not None
        assert wanted.shift is not None
        for ours, theirs in zip((found.receiver, found.sender, found.shift), (wanted.receiver, wanted.sender, wanted.shift), strict=True):
            assert torch.equal(ours.cpu(), theirs)
