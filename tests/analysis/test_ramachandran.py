from __future__ import annotations

import numpy as np
import pytest

from forcefree.analysis.ramachandran import RamachandranMap
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError

CHAIN = ((0, 1, 2, 3), (1, 2, 3, 4))


def chain(phi: np.ndarray, psi: np.ndarray) -> Trajectory:
    """Five atoms in a chain with right angles, whose two dihedrals are given in degrees."""
    phi, psi = np.radians(phi), np.radians(psi)
    zero, one = np.zeros_like(phi), np.ones_like(phi)
    second, third = np.stack([zero, zero, zero], -1), np.stack([zero, zero, one], -1)
    first = np.stack([one, zero, zero], -1)
    fourth = third + np.stack([np.cos(phi), np.sin(phi), zero], -1)
    away, across = np.stack([np.cos(phi), np.sin(phi), zero], -1), np.stack([-np.sin(phi), np.cos(phi), zero], -1)
    up = np.stack([zero, zero, one], -1)
    fifth = fourth - np.cos(psi)[:, None] * up + np.sin(psi)[:, None] * np.cross(away, -up)
    assert np.allclose(np.cross(up, away), across)
    positions = np.stack([first, second, third, fourth, fifth], axis=1)
    return Trajectory("chain", np.full(5, 6), np.full(5, 12.0), np.arange(len(phi), dtype=float), positions, np.zeros_like(positions))


def test_counts_lie_where_the_angles_are() -> None:
    found = RamachandranMap.of([chain(np.array([-97.5, -97.5, 62.5]), np.array([22.5, 22.5, -127.5]))], *CHAIN, n_bins=36)
    assert found.counts[8, 20] == 2
    assert found.counts[24, 5] == 1
    assert found.counts.sum() == 3


def test_free_energy_is_the_logarithm_of_the_share() -> None:
    found = RamachandranMap(np.array([[8.0, 1.0], [4.0, 0.0]]))
    assert found.free_energy[0, 0] == 0.0
    assert found.free_energy[1, 0] == pytest.approx(np.log(2.0))
    assert np.isinf(found.free_energy[1, 1])


def test_distance_is_zero_for_the_same_shares_and_one_for_strangers() -> None:
    first, twice, elsewhere = (RamachandranMap(np.array(c, dtype=float)) for c in ([[1, 3], [0, 0]], [[2, 6], [0, 0]], [[0, 0], [5, 0]]))
    assert first.distance(twice) == pytest.approx(0.0, abs=1e-9)
    assert first.distance(elsewhere) == pytest.approx(1.0)


def test_error_of_a_tilted_map_is_known() -> None:
    """Two equally deep cells, one of which the map raises by kT: half a kT up and half a kT down."""
    reference = RamachandranMap(np.array([[1000.0, 1000.0], [0.0, 0.0]]))
    tilted = RamachandranMap(np.array([[1000.0, 1000.0 * np.exp(-1.0)], [0.0, 0.0]]))
    assert tilted.free_energy_error(reference) == pytest.approx(0.5)
    assert reference.free_energy_error(reference) == 0.0


def test_a_basin_that_was_never_seen_is_a_large_but_finite_error() -> None:
    reference = RamachandranMap(np.array([[1000.0, 1000.0], [0.0, 0.0]]))
    lost = RamachandranMap(np.array([[2000.0, 0.0], [0.0, 0.0]]))
    assert 3.0 < lost.free_energy_error(reference) < 5.0


def test_rare_cells_do_not_count() -> None:
    reference = RamachandranMap(np.array([[1000.0, 1.0]]))
    other = RamachandranMap(np.array([[1000.0, 100.0]]))
    assert other.free_energy_error(reference, depth=4.0) == 0.0


def test_wrong_input_is_told() -> None:
    run = chain(np.array([10.0]), np.array([20.0]))
    with pytest.raises(ForcefreeError, match="names atom 7, but the runs have atoms 0 to 4"):
        RamachandranMap.of([run], (0, 1, 2, 3), (1, 2, 3, 7))
    with pytest.raises(ForcefreeError, match="names atom -1, but the runs have atoms 0 to 4"):
        RamachandranMap.of([run], (-1, 1, 2, 3), (1, 2, 3, 4))
    with pytest.raises(ForcefreeError, match="no frames"):
        RamachandranMap.of([run.frames(0, 0)], *CHAIN)
