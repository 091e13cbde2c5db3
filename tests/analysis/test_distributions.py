"""Histograms hold what was put in; the Jensen-Shannon distance is what the formula says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from forcefree.analysis.distributions import BIN_WIDTHS, histograms, jensen_shannon, values
from forcefree.analysis.pieces import Piece
from forcefree.analysis.topology import Coordinates, bonded_pairs, internal_coordinates
from forcefree.data.trajectory import Trajectory
from networks import MOLECULE


def _exact(shift: float) -> float:
    def integrand(x: float) -> float:
        p, q = norm.pdf(x), norm.pdf(x, loc=shift)
        m = 0.5 * (p + q)
        return 0.5 * (p * np.log2(p / m) + q * np.log2(q / m))

    return float(np.sqrt(quad(integrand, -12.0, 12.0 + shift, points=[0.0, shift])[0]))


@pytest.mark.parametrize("shift", [0.1, 1.0, 3.0])
def test_two_normal_distributions_are_as_far_apart_as_the_integral_says(shift: float) -> None:
    edges = np.linspace(-8.0, 11.0, 2001)
    first, second = np.diff(norm.cdf(edges)), np.diff(norm.cdf(edges, loc=shift))
    assert jensen_shannon(1000.0 * first, second) == pytest.approx(_exact(shift), rel=1e-4)


def test_limits_of_the_distance() -> None:
    first, second = np.array([[1.0, 0.0, 0.0], [2.0, 2.0, 0.0]]), np.array([[0.0, 3.0, 0.0], [1.0, 1.0, 0.0]])
    np.testing.assert_allclose(jensen_shannon(first, second), [1.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(jensen_shannon(first, second), jensen_shannon(second, first))
    np.testing.assert_array_equal(jensen_shannon(np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 2.0], [0.0, 0.0]])), [1.0, 0.0])


def test_values_agree_with_ase(others: list[Trajectory]) -> None:
    run = others[0].frames(0, 40, 4)
    frames = [MOLECULE.copy() for _ in range(len(run))]
    for atoms, positions in zip(frames, run.positions, strict=True):
        atoms.positions = positions
    kinds = internal_coordinates(run, bonded_pairs([run]))
    assert [c.names for c in kinds] == [("O0-O1", "O0-H2", "O1-H3"), ("O1-O0-H2", "O0-O1-H3"), ("H2-O0-O1-H3",)]
    np.testing.assert_allclose(values(run, kinds[0])[:, 1], [a.get_distance(0, 2) for a in frames])
    np.testing.assert_allclose(values(run, kinds[1])[:, 0], [a.get_angle(1, 0, 2) for a in frames])
    np.testing.assert_allclose(values(run, kinds[2])[:, 0] % 360.0, [a.get_dihedral(2, 0, 1, 3) for a in frames])


def test_every_value_is_counted_once(others: list[Trajectory], thermostatted: list[Trajectory]) -> None:
    model, reference = ([Piece(i, run.frames(0, 300)) for i, run in enumerate(side)] for side in (others[:2], thermostatted[:3]))
    for coordinates in internal_coordinates(others[0], bonded_pairs(others)):
        found = histograms(model, reference, coordinates)
        bins = len(found.edges) - 1
        assert found.model.shape == (2, len(coordinates.names), bins)
        assert found.reference.shape == (3, len(coordinates.names), bins)
        np.testing.assert_array_equal(found.model.sum(axis=2), 300)
        exact = np.histogram(values(model[0].frames, coordinates)[:, 0], bins=found.edges)[0]
        assert np.abs(found.model[0, 0] - exact).sum() <= 4  # single precision at bin edges
        assert np.diff(found.edges) == pytest.approx(BIN_WIDTHS[coordinates.kind])


def test_a_dihedral_around_180_degrees_has_no_seam() -> None:
    """Two samples of a narrow trans dihedral fill the same bins, whichever sign its values have."""
    rng = np.random.default_rng(0)
    atoms = np.array([[0, 1, 2, 3]])
    pieces = []
    for seed in range(2):
        phi = np.radians(180.0 + 8.0 * rng.normal(size=4000))
        positions = np.zeros((4000, 4, 3))
        positions[:, 0], positions[:, 2] = [0.0, 1.0, 0.0], [1.5, 0.0, 0.0]
        positions[:, 3] = np.stack([np.full(4000, 1.5), np.cos(phi), np.sin(phi)], axis=1)
        pieces.append(Piece(seed, Trajectory("r", np.full(4, 6), np.full(4, 12.0), np.arange(4000.0), positions)))
    coordinates = Coordinates("dihedral", atoms, ("C0-C1-C2-C3",), np.array([0]))
    found = histograms(pieces[:1], pieces[1:], coordinates)
    assert jensen_shannon(found.model[0, 0], found.reference[0, 0]) < 0.06
    assert found.edges[0] == -180.0
    assert found.edges[-1] == 180.0


def test_a_broken_bond_falls_into_the_last_bin(thermostatted: list[Trajectory]) -> None:
    run = thermostatted[0].frames(0, 50)
    torn = run.positions.copy()
    torn[:, 3] += 1.0e5
    coordinates = internal_coordinates(run, bonded_pairs([run]))[0]
    model = [Piece(0, Trajectory("r", run.numbers, run.masses, run.times, torn))]
    found = histograms(model, [Piece(0, run)], coordinates)
    assert found.model[0, 2, -1] == 50
    assert len(found.edges) < 400


def test_coordinates_across_a_cell_face_are_those_of_the_whole_molecule(others: list[Trajectory]) -> None:
    run = others[0].frames(0, 40, 4)
    cell = np.array([[6.0, 0.0, 0.0], [1.0, 7.0, 0.0], [-1.0, 0.5, -8.0]])
    wrapped = (run.positions @ np.linalg.inv(cell) + 0.01) % 1.0 @ cell
    split = replace(run, positions=wrapped, cell=cell, pbc=np.ones(3, dtype=bool))
    assert np.ptp(wrapped, axis=1).max() > 4.0
    for coordinates in internal_coordinates(run, bonded_pairs([run])):
        np.testing.assert_allclose(values(split, coordinates), values(run, coordinates), atol=1e-9)
