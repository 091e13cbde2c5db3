"""Does it visit the same structures: bonds, angles, dihedrals, and pair distances of periodic systems."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forcefree.analysis.distributions import histograms, jensen_shannon
from forcefree.analysis.pieces import Comparison, Piece, Split, compare
from forcefree.analysis.result import Curve, DistributionResult, Measure, numbers
from forcefree.analysis.topology import Coordinates, bonded_pairs, internal_coordinates
from forcefree.analysis.transport import pair_distances
from forcefree.analysis.verdict import Thresholds, judge_distance, worst
from forcefree.data.trajectory import Floats

_PLURAL = {"bond": "bond lengths", "angle": "angles", "dihedral": "dihedral angles", "pair": "pair distances"}


def structure_measures(
    model: Sequence[Piece], reference: Sequence[Piece], splits: Sequence[Split], thresholds: Thresholds
) -> tuple[list[Measure], list[DistributionResult]]:
    """Compare the distribution of every internal coordinate.

    Args:
        model: Pieces of the trajectory.
        reference: Pieces of the reference; they decide what is bonded.
        splits: Halves of the reference.
        thresholds: What is allowed.

    Returns:
        One measure per kind of coordinate, and every distribution.
    """
    run = reference[0].frames
    bonds = bonded_pairs([piece.frames for piece in reference])
    measures, results = [], []
    for coordinates in internal_coordinates(run, bonds):
        found = _distributions(model, reference, splits, coordinates, thresholds)
        results += found
        measures.append(kind_measure(coordinates.kind, found, thresholds))
    return measures, results


def radial_measure(
    model: Sequence[Piece], reference: Sequence[Piece], splits: Sequence[Split], thresholds: Thresholds
) -> tuple[Measure, list[DistributionResult], list[Curve]]:
    """Compare pair distances and radial distribution functions of a system that is periodic in three directions.

    Returns:
        A measure for all pairs of elements, the distributions of distances, without those of pairs that never come within reach,
        and the radial distribution functions.
    """
    ours, theirs = pair_distances(model), pair_distances(reference)
    found = compare(ours.counts, theirs.counts, splits, jensen_shannon)
    results = _results("pair", theirs.names, theirs.edges, ours.counts, theirs.counts, found, thresholds)
    centres = 0.5 * (theirs.edges[1:] + theirs.edges[:-1])
    curves = [
        Curve(name=name, x=numbers(centres), model=numbers(ours.radial[row]), reference=numbers(theirs.radial[row]))
        for row, name in enumerate(theirs.names)
    ]
    return kind_measure("pair", results, thresholds), results, curves


def kind_measure(kind: str, results: Sequence[DistributionResult], thresholds: Thresholds) -> Measure:
    """Sum up one kind of coordinate by its member that is farthest from the reference, relative to its ceiling."""
    judged = [result for result in results if np.isfinite(result.distance) and np.isfinite(result.ceiling)]
    farthest = max(judged, key=lambda result: result.distance / max(result.ceiling, 1e-12), default=None)
    return Measure(
        key=f"structure.{kind}",
        group="structure",
        label=_PLURAL[kind],
        deviation=farthest.distance if farthest else None,
        deviation_error=farthest.spread if farthest else None,
        ceiling=farthest.ceiling if farthest else None,
        threshold=thresholds.distance_factor * farthest.ceiling if farthest else None,
        verdict=worst(result.verdict for result in results),
        note=f"{sum(result.verdict == 'holds' for result in results)} of {len(results)} hold"
        + (f"; farthest: {farthest.curve.name}" if farthest else ""),
    )


def _distributions(
    model: Sequence[Piece], reference: Sequence[Piece], splits: Sequence[Split], coordinates: Coordinates, thresholds: Thresholds
) -> list[DistributionResult]:
    counts = histograms(model, reference, coordinates)
    found = compare(counts.model, counts.reference, splits, jensen_shannon)
    return _results(coordinates.kind, coordinates.names, counts.edges, counts.model, counts.reference, found, thresholds)


def _results(
    kind: str, names: Sequence[str], edges: Floats, model: Floats, reference: Floats, found: Comparison, thresholds: Thresholds
) -> list[DistributionResult]:
    width = edges[1] - edges[0]
    centres = edges[:-1] + 0.5 * width
    densities = [side.sum(axis=0) / np.maximum(1.0, side.sum(axis=(0, 2)))[:, None] / width for side in (model, reference)]
    results = []
    for row, name in enumerate(names):
        if not model[:, row].any() and not reference[:, row].any():
            continue
        shown = _inhabited(densities[0][row] + densities[1][row]) if kind in ("bond", "angle") else slice(None)
        curve = Curve(
            name=name, x=numbers(centres[shown]), model=numbers(densities[0][row][shown]), reference=numbers(densities[1][row][shown])
        )
        numbers_of = (found.value[row], found.spread[row], found.ceiling[row], found.ceiling_spread[row])
        distance, spread, ceiling, ceiling_spread = (float(value) for value in numbers_of)
        verdict = judge_distance(distance, spread, ceiling, float(found.bound[row]), thresholds.distance_factor)
        results.append(
            DistributionResult(
                kind=kind, curve=curve, distance=distance, spread=spread, ceiling=ceiling, ceiling_spread=ceiling_spread, verdict=verdict
            )
        )
    return results


def _inhabited(density: Floats) -> slice:
    """Bins from the first to the last that holds anything, with two empty ones on either side."""
    full = np.flatnonzero(density)
    return slice(max(0, int(full[0]) - 2), int(full[-1]) + 3)
