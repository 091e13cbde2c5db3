"""Angles and superpositions against ASE and against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.geometry import find_mic
from scipy.spatial.transform import Rotation

from forcefree.analysis.geometry import angles, dihedrals, distances, shortest_vectors, superposing_rotations


def test_bond_angle_and_dihedral_agree_with_ase() -> None:
    positions = np.random.default_rng(0).normal(size=(50, 4, 3))
    a, b, c = (positions[:, k + 1] - positions[:, k] for k in range(3))
    molecules = [Atoms("HOOH", positions=frame) for frame in positions]
    np.testing.assert_allclose(distances(a), [m.get_distance(0, 1) for m in molecules])
    np.testing.assert_allclose(angles(-a, b), [m.get_angle(0, 1, 2) for m in molecules])
    expected = np.array([m.get_dihedral(0, 1, 2, 3) for m in molecules])
    np.testing.assert_allclose((dihedrals(a, b, c) - expected + 180.0) % 360.0, 180.0, atol=1e-9)


def test_a_straight_angle_is_exact() -> None:
    x = np.array([1.0, 0.0, 0.0])
    assert angles(x, -2.0 * x) == pytest.approx(180.0)
    assert angles(x, 3.0 * x) == pytest.approx(0.0)


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, False, False)])
def test_shortest_vectors_agree_with_ase(pbc: tuple[bool, bool, bool]) -> None:
    cell = np.array([[8.0, 0.0, 0.0], [1.5, 9.0, 0.0], [0.5, -1.0, 7.0]])
    rng = np.random.default_rng(1)
    short = rng.uniform(-1.0, 1.0, (100, 3))
    long = short + (rng.integers(-3, 4, (100, 3)) * np.array(pbc)) @ cell
    expected = find_mic(long, cell, pbc)[0] if any(pbc) else long
    np.testing.assert_allclose(shortest_vectors(long, cell, np.array(pbc)), expected, atol=1e-12)


def test_superposition_undoes_any_rotation_and_never_reflects() -> None:
    rng = np.random.default_rng(2)
    target, masses = rng.normal(size=(6, 3)), rng.uniform(1.0, 16.0, 6)
    turns = Rotation.random(40, rng=3).as_matrix()
    frames = target @ turns + rng.normal(size=(40, 1, 3))
    found = superposing_rotations(frames, target, masses)
    np.testing.assert_allclose(found, np.swapaxes(turns, 1, 2), atol=1e-10)
    mirrored = superposing_rotations(-frames, target, masses)
    np.testing.assert_allclose(np.linalg.det(mirrored), 1.0)


@pytest.mark.parametrize(
    ("cell", "pbc", "reach"),
    [
        ([[0.0, 0.0, 5.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], (True, False, False), 2.4),
        ([[5.0, 0.0, 3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], (True, False, False), 2.9),
        ([[0.0, 6.0, 0.0], [2.0, 0.0, 7.0], [9.0, 9.0, 9.0]], (True, True, False), 2.9),
        ([[0.0, 0.0, 0.0], [0.0, 6.0, 1.0], [0.0, 1.0, 6.0]], (False, True, True), 2.8),
    ],
    ids=["wire along z", "oblique wire", "slab in a box", "slab"],
)
def test_open_directions_bring_no_vector_nearer(cell: list[list[float]], pbc: tuple[bool, bool, bool], reach: float) -> None:
    """Whatever an open cell vector is, vectors below half the height along the periodic ones are as short as ASE finds them."""
    rng = np.random.default_rng(4)
    vectors = rng.uniform(-2.9, 2.9, (300, 3)) + (rng.integers(-3, 4, (300, 3)) * np.array(pbc)) @ np.array(cell)
    found = shortest_vectors(vectors, np.array(cell), np.array(pbc))
    expected, lengths = find_mic(vectors, cell, pbc)
    near = lengths < reach
    assert near.sum() > 30
    np.testing.assert_allclose(found[near], expected[near], atol=1e-12)


def test_of_all_rotations_the_superposing_one_leaves_the_least_weighted_distance() -> None:
    rng = np.random.default_rng(5)
    target, masses = rng.normal(size=(5, 3)), rng.uniform(1.0, 16.0, 5)
    frames = target @ Rotation.random(20, rng=6).as_matrix() + 0.5 * rng.normal(size=(20, 5, 3))
    found = superposing_rotations(frames, target, masses)
    share = masses / masses.sum()
    for frame, turn in zip(frames, found, strict=True):
        best, _ = Rotation.align_vectors(target - share @ target, frame - share @ frame, weights=masses)
        np.testing.assert_allclose(turn, best.as_matrix().T, atol=1e-6)
