"""Diffusion of walkers of two elements, each at its own rate."""

from __future__ import annotations

import numpy as np
import pytest

from forcefree.analysis.diffusion import SLOWEST, diffusion_measures, finite_size_gain, finite_size_notes
from forcefree.analysis.pieces import Piece
from forcefree.analysis.verdict import Thresholds
from forcefree.data.trajectory import Trajectory

STEPS = {1: 0.05, 8: 0.02}
SPACING = 5.0


def _walk(seed: int, scale: float = 1.0, frames: int = 300, spacing: float = SPACING) -> Piece:
    rng = np.random.default_rng(seed)
    numbers = np.repeat([1, 8], 40)
    step = np.array([STEPS[n] for n in numbers])[:, None] * np.sqrt(spacing / SPACING) * scale
    positions = np.cumsum(step * rng.normal(size=(frames, 80, 3)), axis=0)
    masses = np.where(numbers == 1, 1.0, 1.0e3)
    return Piece(
        seed, Trajectory("r", numbers, masses, np.arange(frames) * spacing, positions, cell=50.0 * np.eye(3), pbc=np.ones(3, dtype=bool))
    )


def test_each_element_diffuses_at_its_own_rate() -> None:
    measures, curves = diffusion_measures([_walk(i) for i in range(6)], [_walk(10 + i) for i in range(6)], Thresholds())
    for measure, number in zip(measures, (1, 8), strict=True):
        expected = STEPS[number] ** 2 / (2.0 * SPACING) * 0.1 * 1e5
        assert measure.reference == pytest.approx(expected, rel=0.15)
        assert measure.verdict != "does not hold"
    assert [curve.name for curve in curves] == ["H", "O"]


def test_different_spacings_give_one_coefficient() -> None:
    measures, curves = diffusion_measures(
        [_walk(i, frames=150, spacing=10.0) for i in range(6)], [_walk(10 + i) for i in range(6)], Thresholds()
    )
    assert measures[0].model == pytest.approx(measures[0].reference, rel=0.2)
    assert len(curves[0].model) == len(curves[0].x)


def test_a_walker_at_half_the_rate_is_found() -> None:
    measures, _ = diffusion_measures([_walk(i, np.sqrt(0.5)) for i in range(6)], [_walk(10 + i) for i in range(6)], Thresholds())
    assert {measure.verdict for measure in measures} == {"does not hold"}


def test_a_solid_is_not_condemned_for_not_moving() -> None:
    measures, _ = diffusion_measures([_walk(i, 1e-3) for i in range(4)], [_walk(10 + i, 2e-3) for i in range(4)], Thresholds())
    assert {measure.verdict for measure in measures} == {"holds"}
    assert measures[1].threshold == pytest.approx(1e5 * SLOWEST)


def test_images_of_the_cell_slow_water_down_as_published() -> None:
    """Yeh and Hummer, and many after them: 64 molecules of water lose about 0.6 x 10^-5 cm^2/s at 0.85 mPa s."""
    small, large = (finite_size_gain(length**3, 300.0, 0.85) for length in (12.42, 24.84))
    assert small == pytest.approx(0.59e-5, rel=0.02)
    assert large == pytest.approx(0.5 * small)


def test_the_size_of_the_cell_is_told_where_something_diffuses() -> None:
    moving, _ = diffusion_measures([_walk(i) for i in range(4)], [_walk(10 + i) for i in range(4)], Thresholds())
    still, _ = diffusion_measures([_walk(i, 1e-3) for i in range(4)], [_walk(10 + i, 1e-3) for i in range(4)], Thresholds())
    (note,) = finite_size_notes(moving, 12.42 * np.eye(3), 300.0)
    assert "faster by about 0.5 x 10⁻⁵ cm²/s over its viscosity in mPa s (0.59 at" in note
    assert finite_size_notes(still, 12.42 * np.eye(3), 300.0) == []


def test_of_single_runs_no_error_is_known_so_that_only_the_absurd_is_condemned() -> None:
    for scale, verdict in ((1.05, "undecided"), (3.0, "does not hold")):
        measure = diffusion_measures([_walk(0, scale)], [_walk(0)], Thresholds())[0][0]
        assert (measure.model_error, measure.reference_error, measure.deviation_error) == (None, None, None)
        assert measure.model == pytest.approx(scale**2 * measure.reference)
        assert measure.verdict == verdict


def test_a_left_handed_cell_has_the_volume_of_its_mirror_image() -> None:
    moving, _ = diffusion_measures([_walk(i) for i in range(2)], [_walk(10 + i) for i in range(2)], Thresholds())
    cell = np.diag([12.0, 13.0, 14.0])
    assert finite_size_notes(moving, cell[[1, 0, 2]], 300.0) == finite_size_notes(moving, cell, 300.0) != []
