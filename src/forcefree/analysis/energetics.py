"""Does the true potential agree: mean and distribution of the potential energy, drift of the total energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forcefree.analysis.distributions import jensen_shannon
from forcefree.analysis.energies import SampledEnergies, sample_energies
from forcefree.analysis.pieces import Piece, compare, split_halves
from forcefree.analysis.result import Curve, EnergyResult, Measure, numbers
from forcefree.analysis.sample import Sample
from forcefree.analysis.verdict import Thresholds, judge_deviation, judge_distance, mean_and_error
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.reference.config import CalculatorConfig
from forcefree.reference.electrons import NEUTRAL, Electrons
from forcefree.units import BOLTZMANN

_PER_PIECE = 20
_BINS = 30


@dataclass(frozen=True)
class EnergyOptions:
    """How true energies are computed.

    Attributes:
        calculator: The reference's own.
        stored: Whether the reference's stored energies come from that calculator.
        samples: Frames to compute for the distribution, and again for the drift.
        workers: Processes side by side.
        electrons: Charge and unpaired electrons of the reference's system.
        bonded: Trajectory whose first frame has the bonds, for potentials that find bonds by distance.
    """

    calculator: CalculatorConfig
    stored: bool
    samples: int = 400
    workers: int = 1
    electrons: Electrons = NEUTRAL
    bonded: Trajectory | None = None

    def sampled(self, runs: Sequence[Trajectory], calculator: CalculatorConfig | None, samples: int) -> list[SampledEnergies]:
        """Energies at about so many frames of all runs, computed where there is a calculator, else those that were stored."""
        return sample_energies(runs, calculator, samples=samples, workers=self.workers, electrons=self.electrons, bonded=self.bonded)


def potential_measures(
    model: Sequence[Piece], reference: Sequence[Piece], temperature: float, options: EnergyOptions, thresholds: Thresholds, seed: int
) -> tuple[list[Measure], EnergyResult]:
    """Compare potential energies at 20 frames of each piece.

    Args:
        model: Pieces of the trajectory; as many are taken as the number of samples allows.
        reference: Pieces of the reference.
        temperature: K, sets the scale of the threshold on the mean.
        options: How energies are computed.
        thresholds: What is allowed.
        seed: Of the random splits.

    Returns:
        Two measures, and the distributions.
    """
    chosen = sorted(model, key=lambda piece: piece.frames.times[0])[: max(4, options.samples // _PER_PIECE)]
    ours = _sampled(chosen, options.calculator, options)
    theirs = _sampled(reference, None if options.stored else options.calculator, options)
    scale = 1000.0 / len(model[0].frames.numbers)
    zero = float(np.nanmean([one.potential for one in theirs]))
    left, right = ([scale * (one.potential - zero) for one in side] for side in (ours, theirs))
    failed = int(sum(np.isnan(one.potential).sum() for one in ours))
    mean = _mean_measure(_mean_over_runs(chosen, left), _mean_over_runs(reference, right), temperature, thresholds, failed)
    edges = _edges(np.concatenate(left), np.concatenate(right))
    counts = [np.array([_count(values, edges) for values in side]) for side in (left, right)]
    found = compare(counts[0], counts[1], split_halves(chosen, reference, seed=seed), jensen_shannon)
    distribution = Measure(
        key="potential.distribution",
        group="energy",
        label="distribution of the potential energy",
        deviation=float(found.value),
        deviation_error=float(found.spread),
        ceiling=float(found.ceiling),
        threshold=thresholds.distance_factor * float(found.ceiling),
        verdict=judge_distance(*found.scalars(), thresholds.distance_factor),
        note="Jensen-Shannon distance",
    )
    width = edges[1] - edges[0]
    densities = [side.sum(axis=0) / max(1.0, side.sum()) / width for side in counts]
    curve = Curve(
        name="potential energy", x=numbers(edges[:-1] + 0.5 * width), model=numbers(densities[0]), reference=numbers(densities[1])
    )
    samples = sum(len(one.times) for one in ours)
    return [mean, distribution], EnergyResult(calculator=options.calculator.name, samples=samples, failed=failed, potential=curve)


def drift_measure(
    model: Sample, reference: Sample, options: EnergyOptions, thresholds: Thresholds
) -> tuple[Measure, list[float], list[list[float | None]]]:
    """Drift of kinetic plus true potential energy of an NVE trajectory, from its first frame on, nothing discarded.

    A straight line is fitted to each run; the error is over runs.

    Returns:
        The measure, times in ps, and the change of the total energy of each run in meV/atom.
    """
    scale = 1000.0 / len(model.runs[0].numbers)
    per_run = 1000.0 * scale
    wanted = max(options.samples, 8 * len(model.complete))
    ours = options.sampled(model.complete, options.calculator, wanted)
    drift, error = mean_and_error([per_run * one.drift for one in ours])
    base: tuple[float, float] = (float("nan"), float("nan"))
    if reference.ensemble == "nve" and options.stored:
        theirs = sample_energies(reference.complete, None, samples=100 * len(reference.complete))
        base = mean_and_error([per_run * one.drift for one in theirs])
    measure = Measure(
        key="drift",
        group="energy",
        label="drift of the total energy",
        unit="meV/atom/ps",
        model=_known(drift),
        model_error=_known(error),
        reference=_known(base[0]),
        reference_error=_known(base[1]),
        deviation=_known(abs(drift)),
        deviation_error=_known(error),
        threshold=thresholds.drift,
        threshold_unit="meV/atom/ps",
        verdict=judge_deviation(abs(drift), error, thresholds.drift),
        note="kinetic plus true potential energy, a line fitted to each run",
    )
    times = max((one.times - one.times[0] for one in ours), key=lambda times: float(times[-1]))
    changes = [[_known(scale * float(e)) for e in _changes(one, times)] for one in ours]
    return measure, numbers(times / 1000.0), changes


def _sampled(pieces: Sequence[Piece], calculator: CalculatorConfig | None, options: EnergyOptions) -> list[SampledEnergies]:
    return options.sampled([piece.frames for piece in pieces], calculator, _PER_PIECE * len(pieces))


def _mean_over_runs(pieces: Sequence[Piece], values: Sequence[Floats]) -> tuple[float, float]:
    runs = sorted({piece.run for piece in pieces})
    if len(runs) < 4:
        return mean_and_error([float(np.nanmean(one)) for one in values if np.isfinite(one).any()])
    joined = [np.concatenate([one for piece, one in zip(pieces, values, strict=True) if piece.run == run]) for run in runs]
    return mean_and_error([float(np.nanmean(one)) for one in joined if np.isfinite(one).any()])


def _mean_measure(
    ours: tuple[float, float], theirs: tuple[float, float], temperature: float, thresholds: Thresholds, failed: int
) -> Measure:
    deviation, error = abs(ours[0] - theirs[0]), float(np.hypot(ours[1], theirs[1]))
    allowed = thresholds.potential * 1.5 * 1000.0 * BOLTZMANN * temperature
    return Measure(
        key="potential.mean",
        group="energy",
        label="mean potential energy",
        unit="meV/atom",
        model=_known(ours[0]),
        model_error=_known(ours[1]),
        reference=_known(theirs[0]),
        reference_error=_known(theirs[1]),
        deviation=_known(deviation),
        deviation_error=_known(error),
        threshold=allowed,
        threshold_unit="meV/atom",
        verdict="does not hold" if failed else judge_deviation(deviation, error, allowed),
        note=f"the calculator failed on {failed} sampled frames" if failed else "relative to the reference's mean",
    )


def _edges(ours: Floats, theirs: Floats) -> Floats:
    """Bins over both sides, but at most five standard deviations beyond the reference, lest one wild frame stretch them."""
    both = np.concatenate([ours, theirs])
    reach = 5.0 * float(np.nanstd(theirs))
    low = max(float(np.nanmin(both)), float(np.nanmin(theirs)) - reach)
    high = min(float(np.nanmax(both)), float(np.nanmax(theirs)) + reach)
    return np.linspace(low, max(high, low + 1e-6), _BINS + 1)


def _count(values: Floats, edges: Floats) -> Floats:
    good = values[np.isfinite(values)]
    return np.histogram(np.clip(good, edges[0], edges[-1]), bins=edges)[0].astype(np.float64)


def _changes(one: SampledEnergies, times: Floats) -> Floats:
    """Change of the total energy since the first sample, from the samples nearest to those times since then that the run reached."""
    since = one.times - one.times[0]
    nearest = np.abs(since[:, None] - times[times <= since[-1]]).argmin(axis=0)
    total = one.potential + one.kinetic
    return np.asarray(total[nearest] - total[0])


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
