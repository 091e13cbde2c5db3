"""Does it vibrate as the reference does: spectrum, its area by element, its peaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forcefree.analysis.peaks import Peak, compare_peaks
from forcefree.analysis.pieces import Piece, Split, compare
from forcefree.analysis.result import Curve, Measure, PeakResult, SpectrumResult, Verdict, numbers
from forcefree.analysis.sample import Sample
from forcefree.analysis.spectrum import PieceSpectra, on_grid, piece_spectra, power_above, spectral_distance
from forcefree.analysis.verdict import Thresholds, judge_distance, worst
from forcefree.data.trajectory import Floats

_SAME_SPACING = 1e-3
_MOST_FOLDED = 0.01
_MOSTLY_FOLDED = 0.5
_PIECES_FOR_FOLDING = 4


def vibration_measures(
    model: Sequence[Piece],
    reference: Sequence[Piece],
    splits: Sequence[Split],
    temperature: float,
    original: Sample,
    thresholds: Thresholds,
) -> tuple[list[Measure], SpectrumResult, list[str]]:
    """Compare vibrational densities of states.

    Args:
        model: Pieces of the trajectory.
        reference: Pieces of the reference, thinned to the trajectory's spacing.
        splits: Halves of the reference.
        temperature: K.
        original: The reference before thinning, to see how much of its power folds back.
        thresholds: What is allowed.

    Returns:
        Measures of spectrum and peaks, the spectra, and notes on resolution and folding.
    """
    target = reference[0].frames.positions[0]
    ours, theirs = (piece_spectra(side, target, temperature) for side in (model, reference))
    highest = min(ours.nyquist, theirs.nyquist)
    grid = theirs.wavenumbers[theirs.wavenumbers <= highest]
    left, right = on_grid(ours, grid), on_grid(theirs, grid)
    distance = compare(left.sum(axis=1), right.sum(axis=1), splits, spectral_distance)
    peaks = compare_peaks(grid, left.sum(axis=1), right.sum(axis=1), splits)
    judged = [_judge(peak, thresholds.peak) for peak in peaks]
    folded, notes = _folding(ours, theirs, original)
    unlike = abs(ours.nyquist / theirs.nyquist - 1.0) > _SAME_SPACING
    hidden = folded is not None and (folded > _MOSTLY_FOLDED or (folded > _MOST_FOLDED and unlike))
    value, spread, ceiling, bound = distance.scalars()
    verdict = judge_distance(value, spread, ceiling, bound, thresholds.distance_factor)
    measures = [
        Measure(
            key="spectrum.distance",
            group="vibration",
            label="vibrational density of states",
            deviation=value,
            deviation_error=spread,
            ceiling=ceiling,
            threshold=thresholds.distance_factor * ceiling,
            verdict="not judged" if hidden else verdict,
            note="area between the spectra over the sum of their areas",
        ),
        _peak_measure(peaks, judged, thresholds, hidden),
    ]
    result = SpectrumResult(
        curves=_curves(grid, left, right, ours.elements),
        peaks=[
            PeakResult(reference=peak.reference, model=peak.model, ceiling=peak.ceiling, verdict=verdict)
            for peak, verdict in zip(peaks, judged, strict=True)
        ],
        resolution=max(ours.resolution, theirs.resolution),
        nyquist=highest,
        folded=folded,
    )
    return measures, result, notes


def _judge(peak: Peak, threshold: float) -> Verdict:
    """Against a peak counts a shift beyond what halves of the reference can differ by, and only if all parts show it."""
    if peak.model is None and peak.ceiling > threshold:
        return "undecided"
    shift = np.inf if peak.model is None else abs(peak.model - peak.reference)
    if shift > threshold + peak.bound and (peak.least is None or peak.least > threshold):
        return "does not hold"
    return "holds" if shift <= threshold and peak.ceiling <= threshold else "undecided"


def _peak_measure(peaks: Sequence[Peak], judged: Sequence[Verdict], thresholds: Thresholds, hidden: bool) -> Measure:
    shifts = [(abs(peak.model - peak.reference), peak.ceiling) for peak in peaks if peak.model is not None]
    lost = len(peaks) - len(shifts)
    largest = max(shifts, default=None)
    verdict = "not judged" if hidden else worst(judged)
    return Measure(
        key="spectrum.peaks",
        group="vibration",
        label="largest shift of a vibrational peak",
        unit="cm⁻¹",
        deviation=largest[0] if largest else None,
        ceiling=largest[1] if largest else None,
        threshold=thresholds.peak,
        threshold_unit="cm⁻¹",
        verdict=verdict,
        note=f"{sum(v == 'holds' for v in judged)} of {len(peaks)} peaks hold" + (f", {lost} have no counterpart" if lost else ""),
    )


def _folding(ours: PieceSpectra, theirs: PieceSpectra, original: Sample) -> tuple[float | None, list[str]]:
    own = 0.5 / original.spacing
    notes = [f"Vibrational lines closer than {max(ours.resolution, theirs.resolution):.0f} cm⁻¹ are not told apart."]
    limit = min(ours.nyquist, theirs.nyquist)
    if own * 33356.4 <= limit * (1.0 + _SAME_SPACING):
        if limit < 4200.0 and "H" in ours.elements:
            notes.append(f"Frames are too far apart to see beyond {limit:.0f} cm⁻¹, so X-H stretches may appear folded below it.")
        return None, notes
    pieces = [Piece(0, run) for run in original.runs[:_PIECES_FOR_FOLDING]]
    folded = power_above(pieces, limit)
    if folded > _MOST_FOLDED:
        notes.append(
            f"{100 * folded:.0f} % of the reference's vibrational power lies above {limit:.0f} cm⁻¹, the Nyquist limit of the "
            "trajectory's frames, and appears folded below it; save frames at most 4 fs apart to see it in its place."
            + (" Spectra of this kind are not judged." if folded > _MOSTLY_FOLDED else "")
        )
    return folded, notes


def _curves(grid: Floats, left: Floats, right: Floats, elements: Sequence[str]) -> list[Curve]:
    curves = [("all", left.sum(axis=1), right.sum(axis=1))]
    curves += [(symbol, left[:, index], right[:, index]) for index, symbol in enumerate(elements)]
    return [
        Curve(name=name, x=numbers(grid), model=numbers(np.mean(ours, axis=0)), reference=numbers(np.mean(theirs, axis=0)))
        for name, ours, theirs in curves
    ]
