"""Spectra are judged by shape, area and peaks, and not at all where the frames cannot show them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forcefree.analysis.pieces import cut, split_halves
from forcefree.analysis.result import Measure, SpectrumResult
from forcefree.analysis.sample import Sample
from forcefree.analysis.verdict import Thresholds
from forcefree.analysis.vibrations import vibration_measures
from forcefree.data.trajectory import Trajectory
from networks import MASSES, normal_modes


def _sample(runs: list[Trajectory]) -> Sample:
    return Sample(Path("x.h5"), tuple(runs), tuple(runs), 300.0)


def _compared(model: list[Trajectory], reference: list[Trajectory]) -> tuple[dict[str, Measure], SpectrumResult, list[str]]:
    ours, theirs = cut(_sample(model), _sample(reference))
    found, result, notes = vibration_measures(ours, theirs, split_halves(ours, theirs), 300.0, _sample(reference), Thresholds())
    return {measure.key: measure for measure in found}, result, notes


def test_the_same_molecule_vibrates_alike(others: list[Trajectory], thermostatted: list[Trajectory]) -> None:
    measures, result, notes = _compared(others, thermostatted)
    assert "does not hold" not in {measure.verdict for measure in measures.values()}
    assert measures["spectrum.distance"].deviation < 1.5 * measures["spectrum.distance"].ceiling
    assert "not told apart" in notes[0]
    assert result.resolution == pytest.approx(41.7, abs=0.1)


def test_peaks_are_near_the_normal_modes(others: list[Trajectory], thermostatted: list[Trajectory]) -> None:
    found = [peak.reference for peak in _compared(others, thermostatted)[1].peaks if peak.reference > 700.0]
    modes = normal_modes()[1:]
    assert modes.max() == pytest.approx(3503.5, abs=1.0)
    for peak in found:
        assert np.abs(modes - peak).min() < 0.03 * peak
    assert max(found) == pytest.approx(modes.max(), rel=0.01)


def test_slow_motion_shifts_every_peak_by_its_factor(thermostatted: list[Trajectory]) -> None:
    """The same film played 0.5 % slower: all wavenumbers are divided by 1.005."""
    slow = [replace(run, times=1.005 * run.times, velocities=run.velocities / 1.005) for run in thermostatted]
    measures, result, _ = _compared(slow, thermostatted)
    assert measures["spectrum.peaks"].verdict != "holds"
    assert len(result.peaks) >= 3
    for peak in result.peaks:
        assert peak.model == pytest.approx(peak.reference / 1.005, abs=3.0)
    assert measures["spectrum.peaks"].deviation == pytest.approx(result.peaks[-1].reference * 0.005 / 1.005, abs=3.0)


def test_rotating_and_still_molecules_have_one_spectrum(others: list[Trajectory], thermostatted: list[Trajectory]) -> None:
    spun = [replace(run, velocities=run.velocities + np.cross([0.0, 0.0, 0.02], run.positions - MASSES @ run.positions[0] / MASSES.sum()))
            for run in others]  # fmt: skip
    plain, turned = (_compared(side, thermostatted)[1].curves[0].model for side in (others, spun))
    assert np.sum(turned) == pytest.approx(np.sum(plain), rel=1e-3)


def test_a_cold_spectrum_is_as_far_as_its_missing_area(others: list[Trajectory], thermostatted: list[Trajectory]) -> None:
    cold = [replace(run, velocities=0.5 * run.velocities) for run in others]
    measure = _compared(cold, thermostatted)[0]["spectrum.distance"]
    assert measure.verdict == "does not hold"
    assert measure.deviation == pytest.approx((1.0 - 0.25) / (1.0 + 0.25), abs=0.05)


def test_spacings_without_a_common_multiple_are_not_judged_where_lines_fold(
    others: list[Trajectory], thermostatted: list[Trajectory]
) -> None:
    odd = [replace(run.frames(0, len(run), 4), times=run.times[::4] * 7.0 / 8.0) for run in others]
    measures, result, _ = _compared(odd, thermostatted)
    assert result.folded > 0.01
    assert {measure.verdict for measure in measures.values()} == {"not judged"}


def test_coarse_frames_on_both_sides_get_a_warning(others: list[Trajectory], thermostatted: list[Trajectory]) -> None:
    thin = [[run.frames(0, len(run), 5) for run in side] for side in (others, thermostatted)]
    _, result, notes = _compared(*thin)
    assert result.folded is None
    assert any("X-H stretches may appear folded" in note for note in notes)
