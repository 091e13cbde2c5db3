"""Peaks are where they are, find their partners, and count only where the reference reproduces them."""

from __future__ import annotations

import numpy as np
import pytest

from forcefree.analysis.peaks import compare_peaks, match, peak_positions
from forcefree.analysis.pieces import Piece, split_halves
from forcefree.data.trajectory import Trajectory

GRID = np.arange(0.0, 4000.0, 4.0)


def _line(*lines: tuple[float, float]) -> np.ndarray:
    return sum((height * np.exp(-0.5 * ((GRID - centre) / 12.0) ** 2) for centre, height in lines), np.full(len(GRID), 1e-6))


def _pieces(count: int) -> list[Piece]:
    run = Trajectory("r", np.array([1]), np.array([1.0]), np.arange(32.0), np.zeros((32, 1, 3)))
    return [Piece(index, run) for index in range(count)]


def test_gaussian_lines_are_found_between_grid_points() -> None:
    spectrum = _line((401.3, 1.0), (1234.7, 0.3), (3001.9, 0.1), (2000.0, 0.01))
    np.testing.assert_allclose(peak_positions(GRID, spectrum), [401.3, 1234.7, 3001.9], atol=0.01)


def test_rotation_and_diffusion_below_100_are_no_peaks() -> None:
    np.testing.assert_allclose(peak_positions(GRID, _line((40.0, 50.0), (900.0, 1.0))), [900.0], atol=0.01)


def test_a_spectrum_that_ends_below_100_has_none() -> None:
    assert len(peak_positions(GRID[:20], _line((40.0, 1.0))[:20])) == 0


def test_partners_are_the_closest_pairs() -> None:
    partners = match(np.array([1000.0, 1030.0, 2000.0]), np.array([1025.0, 1090.0, 2150.0]))
    np.testing.assert_array_equal(partners, [1090.0, 1025.0, np.nan])
    assert np.isnan(match(np.array([500.0]), np.zeros(0))).all()


def test_a_shifted_peak_and_a_lost_one() -> None:
    rng = np.random.default_rng(0)
    reference = np.array([_line((800.0 + rng.normal(), 1.0), (1600.0, 0.5), (3000.0, 0.4)) for _ in range(8)])
    model = np.array([_line((825.0, 1.0), (3000.0, 0.4)) for _ in range(8)])
    peaks = compare_peaks(GRID, model, reference, split_halves(_pieces(8), _pieces(8)))
    assert [round(peak.reference) for peak in peaks] == [800, 1600, 3000]
    assert peaks[0].model == pytest.approx(825.0, abs=0.1)
    assert peaks[0].least == pytest.approx(25.0, abs=2.0)
    assert 0.05 < peaks[0].ceiling < 3.0
    assert (peaks[1].model, peaks[1].least) == (None, None)
    assert peaks[2].model == pytest.approx(3000.0, abs=0.1)


def test_a_peak_that_only_one_run_shows_is_not_held_against_anybody() -> None:
    reference = np.array([_line((800.0, 1.0)) for _ in range(8)])
    reference[0] += 4.0 * _line((2500.0, 1.0))
    peaks = compare_peaks(GRID, reference, reference, split_halves(_pieces(8), _pieces(8)))
    assert [round(peak.reference) for peak in peaks] == [800]


def test_a_spectrum_without_lines_has_no_peaks_to_compare() -> None:
    smooth = np.exp(-np.tile(GRID, (8, 1)) / 500.0)
    assert compare_peaks(GRID, smooth, smooth, split_halves(_pieces(8), _pieces(8))) == []
