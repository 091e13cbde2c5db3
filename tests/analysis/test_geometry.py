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
