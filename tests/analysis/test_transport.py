"""Ideal gases, crystals and random walks have known pair distances and displacements."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.geometry import get_distances
from scipy.spatial.transform import Rotation

from forcefree.analysis.pieces import Piece
from forcefree.analysis.transport import (
    SQUARE_CM_PER_S,
    diffusion_coefficient,
    element_displacements,
    mean_square_displacement,
    pair_distances,
)
from forcefree.data.trajectory import Trajectory

TRICLINIC = np.array([[14.0, 0.0, 0.0], [3.0, 13.0, 0.0], [-2.0, 4.0, 15.0]]) @ Rotation.from_euler("xyz", [0.3, 1.1, -0.4]).as_matrix()


def _gas(cell: np.ndarray, frames: int = 60, atoms: int = 60, seed: int = 0) -> Trajectory:
    rng = np.random.default_rng(seed)
    positions = rng.uniform(-1.0, 2.0, (frames, atoms, 3)) @ cell
    numbers = np.where(np.arange(atoms) % 3 == 0, 8, 1)
    return Trajectory("r", numbers, np.ones(atoms), np.arange(frames) * 1.0, positions, cell=cell, pbc=np.ones(3, dtype=bool))


@pytest.mark.parametrize("cell", [12.0 * np.eye(3), TRICLINIC], ids=["cubic", "turned triclinic"])
def test_an_ideal_gas_has_a_radial_distribution_of_one(cell: np.ndarray) -> None:
    found = pair_distances([Piece(i, _gas(cell, seed=i)) for i in range(2)])
    assert found.names == ("H-H", "H-O", "O-O")
    far = found.edges[:-1] >= 1.5
    np.testing.assert_allclose(found.radial[:, far].mean(axis=1), 1.0, atol=0.03)
    coarse = (found.counts.sum(axis=0)[:, far].reshape(3, -1)).sum() / found.ideal.sum(axis=0)[:, far].sum()
    assert coarse == pytest.approx(1.0, abs=0.01)


def test_distances_reach_to_half_the_smallest_height() -> None:
    heights = np.linalg.det(TRICLINIC) / np.linalg.norm(np.cross(TRICLINIC[[1, 2, 0]], TRICLINIC[[2, 0, 1]]), axis=1)
    assert pair_distances([Piece(0, _gas(TRICLINIC, 2))]).edges[-1] == pytest.approx(0.5 * np.abs(heights).min(), abs=0.05)


@pytest.mark.parametrize(
    "cell",
    [
        TRICLINIC,
        TRICLINIC[[1, 0, 2]],
        12.0 * np.array([[1.0, 0.0, 0.0], [0.5, np.sqrt(0.75), 0.0], [0.0, 0.0, 1.3]]),
        8.0 * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]),
        np.array([[30.0, 0.0, 0.0], [27.0, 13.2, 0.0], [0.0, 0.0, 30.0]]),
    ],
    ids=["triclinic", "left-handed", "hexagonal", "primitive", "skewed"],
)
def test_counts_agree_with_ase_minimum_images(cell: np.ndarray) -> None:
    run = _gas(cell, 1, 240)
    found = pair_distances([Piece(0, run)])
    for row, (a, b) in enumerate([(1, 1), (1, 8), (8, 8)]):
        total = np.zeros(len(found.edges) - 1)
        for frame in run.positions:
            pairs = get_distances(frame[run.numbers == a], frame[run.numbers == b], cell=run.cell, pbc=True)[1]
            pairs = pairs[np.triu_indices(len(pairs), k=1)] if a == b else pairs.ravel()
            total += np.histogram(pairs, bins=found.edges)[0]
        np.testing.assert_array_equal(found.counts[0, row], total)
    assert found.counts.sum() > 100


def test_a_crystal_shows_its_shells() -> None:
    crystal = bulk("Cu", cubic=True, a=3.61) * 3
    run = Trajectory(
        "r", crystal.numbers.astype(np.int64), crystal.get_masses(), np.array([0.0]), crystal.positions[None] + 0.1,
        cell=np.asarray(crystal.cell), pbc=np.ones(3, dtype=bool),
    )  # fmt: skip
    found = pair_distances([Piece(0, run)])
    neighbours = found.counts[0, 0] * 2 / len(crystal)
    shells = {round(float(found.edges[i]) + 0.025, 2): round(float(neighbours[i])) for i in np.flatnonzero(neighbours)}
    assert [count for _, count in sorted(shells.items())][:3] == [12, 6, 24]
    assert min(shells) == pytest.approx(3.61 / np.sqrt(2.0), abs=0.05)


def test_displacements_agree_with_brute_force() -> None:
    positions = np.random.default_rng(0).normal(size=(40, 3, 3)).cumsum(axis=0) + 100.0
    expected = [((positions[lag:] - positions[: len(positions) - lag]) ** 2).sum(axis=2).mean() for lag in range(40)]
    np.testing.assert_allclose(mean_square_displacement(positions), expected, atol=1e-8)


def test_a_random_walk_diffuses_at_its_rate() -> None:
    rng = np.random.default_rng(1)
    step, spacing = 0.3, 5.0
    positions = (step * rng.normal(size=(1000, 400, 3))).cumsum(axis=0)
    found = diffusion_coefficient(mean_square_displacement(positions), spacing)
    assert found == pytest.approx(step**2 / (2.0 * spacing) * SQUARE_CM_PER_S, rel=0.05)


def test_ballistic_flight_grows_with_the_square_of_time() -> None:
    positions = np.arange(50.0)[:, None, None] * np.array([0.1, 0.2, 0.2])
    np.testing.assert_allclose(mean_square_displacement(positions), 0.09 * np.arange(50.0) ** 2, atol=1e-9)


def test_a_common_drift_is_no_diffusion() -> None:
    run = _gas(10.0 * np.eye(3), 30, 12)
    still = np.repeat(run.positions[:1], 30, axis=0) + 0.5 * np.arange(30.0)[:, None, None]
    found = element_displacements(Trajectory("r", run.numbers, run.masses, run.times, still, cell=run.cell, pbc=run.pbc))
    assert set(found) == {"H", "O"}
    np.testing.assert_allclose(found["H"], 0.0, atol=1e-9)


def test_an_element_of_one_atom_has_no_pairs_with_itself_and_thinned_pieces_an_ideal_gas_of_their_own() -> None:
    cell = 12.0 * np.eye(3)
    gas = _gas(cell, frames=250, atoms=4)
    run = Trajectory("r", np.array([8, 1, 1, 1]), gas.masses, gas.times, gas.positions, cell=cell, pbc=gas.pbc)
    found = pair_distances([Piece(0, run), Piece(0, run.frames(0, 100))])
    assert found.names == ("H-H", "H-O")
    shell = 4.0 / 3.0 * np.pi * np.diff(found.edges**3)[-1] / 12.0**3
    np.testing.assert_allclose(found.ideal[:, :, -1], shell * np.array([[84 * 3, 84 * 3], [100 * 3, 100 * 3]]))


def test_the_slope_is_fitted_between_a_tenth_and_a_half_of_the_longest_lag() -> None:
    spacing, coefficient = 2.0, 0.03
    moved = 6.0 * coefficient * spacing * np.arange(100.0) + 0.4
    moved[:10] = moved[50:] = 77.0
    assert diffusion_coefficient(moved, spacing) == pytest.approx(coefficient * SQUARE_CM_PER_S)
    assert diffusion_coefficient(np.array([0.0, 0.36, 0.0]), spacing) == pytest.approx(coefficient * SQUARE_CM_PER_S)
