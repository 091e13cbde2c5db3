"""Equal pieces of runs and random halves of them, so that every comparison sees the same amount of data on each side.

A distance between two finite samples is never zero, and it shrinks as the samples grow. Therefore all runs are cut into
pieces of one duration, the reference's runs are split at random into two halves (by run: pieces of one run stay
together), and the same number of pieces is drawn from the first half, from the second half, and from the trajectory that
is judged. Half against half is the ceiling that sampling noise allows; trajectory against either half is the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from forcefree.analysis.sample import FEWEST_FRAMES, Sample
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.errors import ForcefreeError

Integers = NDArray[np.int64]
Distance = Callable[[Floats, Floats], Floats]
"""Maps the sums of two sets of pieces (...) to one distance or to an array of them."""

_BLOCKS_OF_ONE_RUN = 4
_INDEPENDENT_SCATTER = 2.0


@dataclass(frozen=True)
class Piece:
    """A stretch of one run, thinned to the common spacing.

    Attributes:
        run: Index of the run that it was cut from.
        frames: Its frames, as many in each piece of a sample.
    """

    run: int
    frames: Trajectory


@dataclass(frozen=True)
class Split:
    """Which pieces are compared in one of the random splits; as many in each of the three.

    Attributes:
        first: Pieces of the reference, of one half of its runs.
        second: Pieces of the reference, of the other half.
        model: Pieces of the trajectory that is judged.
        units: Runs of the reference that were split (stretches of time, where there is only one run).
    """

    first: Integers
    second: Integers
    model: Integers
    units: int


@dataclass(frozen=True)
class Comparison:
    """A distance to the reference beside the reference's distance to itself, over all splits; arrays alike in shape.

    Attributes:
        value: Mean over the splits of the distance between trajectory and half a reference.
        spread: Its standard deviation over the splits.
        ceiling: Mean over the splits of the distance between the two halves.
        ceiling_spread: Its standard deviation over the splits.
        bound: The largest distance that two halves may plausibly have; see :func:`plausible_bound`.
    """

    value: Floats
    spread: Floats
    ceiling: Floats
    ceiling_spread: Floats
    bound: Floats

    def scalars(self) -> tuple[float, float, float, float]:
        """Value, spread, ceiling and bound of a single distance."""
        return float(self.value), float(self.spread), float(self.ceiling), float(self.bound)


def cut(model: Sample, reference: Sample) -> tuple[list[Piece], list[Piece]]:
    """Cut both sides into pieces of the same duration and, as far as their spacings allow, the same spacing.

    A piece is as long as the median run of the side with the shorter runs; of two runs of the reference the shorter one counts,
    and a single one is cut further, so that there are pieces to split.

    Args:
        model: The trajectory that is judged.
        reference: What it is judged by.

    Returns:
        Pieces of the model and of the reference.

    Raises:
        ForcefreeError: If the runs are too short to be cut.
    """
    coarse = max(model.spacing, reference.spacing)
    ours, theirs = (np.sort([len(run) * run.spacing for run in side.runs]) for side in (model, reference))
    halves = theirs[-2] if len(theirs) > 1 else theirs[0] / _BLOCKS_OF_ONE_RUN
    duration = min(float(np.median(ours)), float(np.median(theirs)), float(halves))
    pieces = []
    for side in (model, reference):
        stride = max(1, round(coarse / side.spacing))
        frames = int(duration / (stride * side.spacing) + 1e-6)
        if frames < FEWEST_FRAMES:
            raise ForcefreeError(
                f"{side.path} gives pieces of only {frames} frames {stride * side.spacing:g} fs apart; "
                f"at least {FEWEST_FRAMES} are needed, so save longer runs or frames closer together"
            )
        pieces.append(
            [
                Piece(index, run.frames(start * stride, (start + frames) * stride, stride))
                for index, run in enumerate(side.runs)
                for start in range(0, -(-len(run) // stride) - frames + 1, frames)
            ]
        )
    return pieces[0], pieces[1]


def split_halves(model: Sequence[Piece], reference: Sequence[Piece], *, count: int = 10, seed: int = 0) -> list[Split]:
    """Draw random halves of the reference by run, and as much of the model for each.

    Args:
        model: Pieces of the trajectory; drawn from as many different runs as possible.
        reference: Pieces of the reference, at least two. Those of a single run are split in time.
        count: Number of splits.
        seed: Of the generator.

    Returns:
        The splits.
    """
    rng = np.random.default_rng(seed)
    runs = np.array([piece.run for piece in reference])
    units = runs if len(np.unique(runs)) > 1 else np.arange(len(runs))
    names = np.unique(units)
    splits = []
    for _ in range(count):
        order = rng.permutation(names)
        half = len(order) // 2
        first, second = (_spread_over_runs(runs, np.isin(units, chosen), rng) for chosen in (order[:half], order[half : 2 * half]))
        drawn = _spread_over_runs(np.array([piece.run for piece in model]), np.ones(len(model), dtype=bool), rng)
        size = min(len(first), len(second), len(drawn))
        splits.append(Split(first[:size], second[:size], drawn[:size], len(names)))
    return splits


def compare(model: Floats, reference: Floats, splits: Sequence[Split], distance: Distance) -> Comparison:
    """Compare statistics that add up over pieces, such as histograms and power spectra.

    Args:
        model: One statistic per piece of the model, shape (n_pieces, ...).
        reference: The same for the reference.
        splits: From :func:`split_halves`.
        distance: Of two sums over pieces.

    Returns:
        The distances and their ceiling.
    """
    values, ceilings = [], []
    for split in splits:
        first, second = reference[split.first].sum(axis=0), reference[split.second].sum(axis=0)
        judged = model[split.model].sum(axis=0)
        ceilings.append(distance(first, second))
        values.append(0.5 * (distance(judged, first) + distance(judged, second)))
    value, ceiling = np.array(values), np.array(ceilings)
    bound = plausible_bound(ceiling, splits[0].units)
    return Comparison(value.mean(axis=0), value.std(axis=0), ceiling.mean(axis=0), ceiling.std(axis=0), bound)


def plausible_bound(ceilings: Floats, units: int) -> Floats:
    """Largest distance that two halves of a reference may plausibly have.

    Args:
        ceilings: Distances between halves, NaN where there is none, shape (n_splits, ...).
        units: Runs of the reference.

    Returns:
        The largest seen, or the mean plus as many standard deviations as Student's t asks so that, of all distances
        together, 5 % of harmless sets pass; degrees of freedom are the runs less two, and two runs bound nothing. Standard
        deviations over splits of the same runs are doubled, since independent runs scatter about twice as much (measured
        on equal molecular dynamics). Shape (...).
    """
    if units < 3:
        return np.full(ceilings.shape[1:], np.inf)
    together = max(1, int(np.prod(ceilings.shape[1:])))
    widened = _INDEPENDENT_SCATTER * float(student.ppf(1.0 - 0.025 / together, units - 2))
    return np.asarray(np.fmax.reduce(ceilings, axis=0).clip(np.nanmean(ceilings, axis=0) + widened * np.nanstd(ceilings, axis=0)))


def _spread_over_runs(runs: NDArray[np.int_], allowed: NDArray[np.bool_], rng: np.random.Generator) -> Integers:
    """Allowed pieces in random order, such that every run gives one before any gives a second."""
    order = rng.permutation(np.flatnonzero(allowed))
    turn = np.zeros(len(order))
    for run in np.unique(runs[order]):
        mine = runs[order] == run
        turn[mine] = np.arange(mine.sum())
    return np.asarray(order[np.argsort(turn, kind="stable")], dtype=np.int64)
