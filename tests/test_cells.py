"""Widths of cells against volumes and areas, and cells that are too small for how far a model looks."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forcefree.cells import cell_widths, check_cell
from forcefree.errors import ForcefreeError

EVERY, NONE = np.ones(3, dtype=bool), np.zeros(3, dtype=bool)
CELLS = hnp.arrays(np.float64, (3, 3), elements=st.floats(-9.0, 9.0)).filter(lambda cell: abs(np.linalg.det(cell)) > 5.0)


@settings(max_examples=60, deadline=None)
@given(cell=CELLS)
def test_planes_of_the_lattice_are_one_width_apart(cell: np.ndarray) -> None:
    """The reciprocal vector of a direction is as long as one over the distance of its planes."""
    reciprocal = np.linalg.inv(cell).T
    np.testing.assert_allclose(cell_widths(cell, EVERY), 1.0 / np.linalg.norm(reciprocal, axis=1), rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(cell=CELLS, axis=st.integers(0, 2))
def test_an_open_direction_has_no_width_and_no_say_in_the_others(cell: np.ndarray, axis: int) -> None:
    pbc = np.arange(3) != axis
    widths = cell_widths(cell, pbc)
    assert np.isinf(widths[axis])
    first, second = cell[pbc]
    area = np.linalg.norm(np.cross(first, second))
    np.testing.assert_allclose(widths[pbc], [area / np.linalg.norm(second), area / np.linalg.norm(first)], rtol=1e-9)
    np.testing.assert_allclose(cell_widths(np.where(pbc[:, None], cell, 0.0), pbc), widths, rtol=1e-9)


def test_a_wire_is_as_wide_as_its_vector_and_a_molecule_has_no_width() -> None:
    assert cell_widths(np.diag([0.0, 7.0, 0.0]), np.array([False, True, False])).tolist() == pytest.approx([np.inf, 7.0, np.inf])
    assert np.isinf(cell_widths(np.zeros((3, 3)), NONE)).all()


def test_the_supercell_that_is_named_is_wide_enough_and_a_smaller_one_is_not() -> None:
    atoms = bulk("Si", cubic=True)
    atoms.cell[0] *= 0.5
    cell = np.asarray(atoms.cell.array)
    with pytest.raises(ForcefreeError, match=r"the start has a cell only 2\.71 Å wide, but the model looks 6 Å far.* at least 3 x 2 x 2$"):
        check_cell(cell, EVERY, 6.0, "the start")
    check_cell(cell * np.array([[3], [2], [2]]), EVERY, 6.0, "the start")
    for smaller in ([2, 2, 2], [3, 1, 2], [3, 2, 1]):
        with pytest.raises(ForcefreeError):
            check_cell(cell * np.array(smaller)[:, None], EVERY, 6.0, "the start")
    check_cell(cell, NONE, 6.0, "a molecule")
    check_cell(6.0 * np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0], EVERY, 6.0, "a cell exactly as wide, turned")
