"""Turned cells: the same lattice, another frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forcefree.reference.engines.lower_cell import LowerCell


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_a_turned_cell_is_the_same_lattice_and_shape_in_the_form_that_programs_ask_for(seed: int) -> None:
    cell = np.random.default_rng(seed).normal(size=(3, 3)) * 5.0
    turned = LowerCell.of(cell)
    np.testing.assert_allclose(turned.turn @ turned.turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turned.turn) == pytest.approx(1.0, abs=1e-12)
    matrix = turned.matrix
    assert (np.diag(matrix) > 0).all()
    np.testing.assert_allclose(np.triu(matrix, 1), 0.0, atol=1e-12)
    assert abs(matrix[1, 0]) <= 0.5001 * matrix[0, 0]
    assert abs(matrix[2, 0]) <= 0.5001 * matrix[0, 0]
    assert abs(matrix[2, 1]) <= 0.5001 * matrix[1, 1]
    change = turned.into(cell) @ np.linalg.inv(matrix)
    np.testing.assert_allclose(change, np.round(change), atol=1e-6)
    assert abs(np.linalg.det(change)) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2]])
def test_vectors_go_there_and_back_and_images_are_counted(order: list[int]) -> None:
    cell = np.array([[4.0, 1.0, 0.0], [0.0, 5.0, 2.0], [-1.0, 0.0, 6.0]])
    turned = LowerCell.of(cell[order])
    vectors = np.random.default_rng(0).normal(size=(7, 3)) * 20.0
    np.testing.assert_allclose(turned.back(turned.into(vectors)), vectors, atol=1e-12)
    home = turned.into(vectors) - turned.images(turned.into(vectors)) @ turned.matrix
    scaled = home @ np.linalg.inv(turned.matrix)
    assert (scaled > -1e-9).all()
    assert (scaled < 1.0 + 1e-9).all()


def test_a_cell_in_the_right_form_and_an_isolated_system_stay_exactly_what_they_are() -> None:
    cubic = LowerCell.of(np.diag([3.0, 4.0, 5.0]))
    np.testing.assert_array_equal(np.abs(cubic.turn), np.eye(3))
    np.testing.assert_array_equal(cubic.matrix, np.diag([3.0, 4.0, 5.0]))
    isolated = LowerCell.of(np.zeros((3, 3)))
    np.testing.assert_array_equal(isolated.into(np.ones((2, 3))), np.ones((2, 3)))
    np.testing.assert_array_equal(isolated.images(np.full((2, 3), 9.0)), 0.0)
