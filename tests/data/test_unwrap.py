"""Unwrapping: straight flight stays straight in any cell, and what cannot be known is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from ase.geometry import wrap_positions
from hypothesis import given, settings
from hypothesis import strategies as st

from forcefree.data.unwrap import Unwrapper
from forcefree.errors import ForcefreeError

_SKEWED = np.array([[10.0, 0, 0], [9.0, 6.0, 0], [-4.0, 5.0, 12.0]])
_ALL = np.ones(3, dtype=bool)


def _flight(cell: np.ndarray, frames: int = 200, atoms: int = 7, step: float = 0.5, seed: int = 0) -> np.ndarray:
    """Free particles, one straight line each, at most ``step`` Å per frame."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(atoms, 3))
    velocity = step * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    return rng.uniform(size=(atoms, 3)) @ cell + np.arange(frames)[:, None, None] * velocity


def _wrapped(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    return np.array([wrap_positions(frame, cell, pbc=pbc) for frame in positions])


@pytest.mark.parametrize(
    "cell", [np.diag([8.0, 9.0, 10.0]), _SKEWED, _SKEWED[[0, 2, 1]], np.array([[3.0, 3, 0], [3, 0, 3], [0, 3, 3]]) * 2]
)
def test_free_particles_cross_a_triclinic_boundary_in_straight_lines(cell: np.ndarray) -> None:
    true = _flight(cell)
    wrapped = _wrapped(true, cell, _ALL)
    assert np.abs(np.diff(wrapped, axis=0)).max() > 3.0
    found = Unwrapper(cell, _ALL)(wrapped, np.arange(200.0))
    np.testing.assert_allclose(found - found[0], true - true[0], atol=1e-10)
    np.testing.assert_array_equal(found[0], wrapped[0])


@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(1, 59), max_size=6))
@settings(max_examples=25, deadline=None)
def test_any_cut_into_blocks_gives_the_same_and_any_cell_works(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(6, 12, 3)) + np.tril(rng.uniform(-5, 5, (3, 3)), -1)
    true = _flight(cell, frames=60, step=0.4, seed=seed)
    wrapped = _wrapped(true, cell, _ALL)
    whole = Unwrapper(cell, _ALL)(wrapped, np.arange(60.0))
    np.testing.assert_allclose(whole - whole[0], true - true[0], atol=1e-9)
    by_block, edges = Unwrapper(cell, _ALL), [0, *sorted(set(cuts)), 60]
    blocks = [by_block(wrapped[a:b], np.arange(60.0)[a:b]) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_only_periodic_directions_are_touched() -> None:
    cell, pbc = np.diag([8.0, 9.0, 5.0]), np.array([True, True, False])
    true = _flight(cell)
    true[:, 0, 2] += np.linspace(0, 300, 200)
    found = Unwrapper(cell, pbc)(_wrapped(true, cell, pbc), np.arange(200.0))
    np.testing.assert_allclose(found - found[0], true - true[0], atol=1e-10)


def test_a_slab_without_a_third_vector_works_and_a_long_jump_along_it_is_no_question_of_images() -> None:
    cell, pbc = np.array([[8.0, 0, 0], [2.0, 7.0, 0], [0, 0, 0]]), np.array([True, True, False])
    jump = np.zeros((2, 1, 3))
    jump[1, 0] = (7.9, 0.0, 100.0)
    found = Unwrapper(cell, pbc)(jump, np.arange(2.0))
    np.testing.assert_allclose(found[1, 0], (-0.1, 0.0, 100.0), atol=1e-12)


def test_an_isolated_system_is_returned_as_it_is() -> None:
    positions = np.random.default_rng(0).normal(size=(5, 3, 3)) * 100
    assert Unwrapper(np.zeros((3, 3)), np.zeros(3, dtype=bool))(positions, np.arange(5.0)) is positions


def test_positions_that_are_unwrapped_already_stay_as_they_are() -> None:
    true = _flight(_SKEWED, frames=500)
    np.testing.assert_array_equal(Unwrapper(_SKEWED, _ALL)(true, np.arange(500.0)), true)


def test_a_jump_near_half_a_cell_is_refused_with_atom_and_time() -> None:
    jump = np.zeros((3, 4, 3))
    jump[2, 1, 0] = 4.8
    with pytest.raises(ForcefreeError, match=r"atom 1 moves 4\.80 Å or 5\.20 Å.* in the step to 20 fs"):
        Unwrapper(np.eye(3) * 10, _ALL)(jump, np.array([0.0, 10.0, 20.0]))
    jump[2, 1, 0] = 4.0
    np.testing.assert_allclose(Unwrapper(np.eye(3) * 10, _ALL)(jump, np.arange(3.0)), jump)


def test_in_a_skewed_cell_the_shortest_image_is_found_where_rounding_fails() -> None:
    """In a cell with an angle of 26 degrees, rounding fractions (0.45, -0.45) is not the shortest step."""
    cell = np.array([[10.0, 0, 0], [9.0, 4.4, 0], [0, 0, 10.0]])
    step = np.array([0.3, 0.2, 0.1])
    for shift in ([1, -1, 0], [-1, 1, 1], [2, -1, 0]):
        jump = np.stack([np.zeros((1, 3)), (step + np.array(shift) @ cell)[None]])
        np.testing.assert_allclose(Unwrapper(cell, _ALL)(jump, np.arange(2.0))[1, 0], step, atol=1e-12)


def test_a_periodic_vector_without_length_is_refused() -> None:
    with pytest.raises(ForcefreeError, match="has no length"):
        Unwrapper(np.diag([10.0, 10.0, 0.0]), _ALL)
