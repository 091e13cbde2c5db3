"""When a measure holds, and what may be said of the trajectory as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from pydantic import Field
from scipy.stats import t as student

from forcefree.analysis.result import Group, Measure, Verdict
from forcefree.settings import Settings


class Thresholds(Settings):
    """What a trajectory is held to."""

    temperature: float = Field(default=0.01, gt=0)
    """Relative deviation of the mean temperature from its target."""

    element_temperature: float = Field(default=0.02, gt=0)
    """Relative deviation of an element's temperature."""

    drift: float = Field(default=1.0, gt=0)
    """Mean drift of the total energy, meV/atom/ps."""

    potential: float = Field(default=0.02, gt=0)
    """Deviation of the mean potential energy, relative to the thermal energy of as many harmonic vibrations."""

    peak: float = Field(default=10.0, gt=0)
    """Shift of a vibrational peak, cm^-1."""

    distance_factor: float = Field(default=1.5, ge=1)
    """A distribution may be this many times as far from half the reference as the other half is."""

    diffusion: float = Field(default=0.1, gt=0)
    """Relative deviation of a diffusion coefficient."""


_SPEAKS_FOR: Final[dict[Group, str]] = {
    "ensemble": "thermal averages (temperature and equipartition)",
    "energy": "energies",
    "vibration": "vibrational spectra",
    "structure": "structure and conformations",
    "transport": "diffusion",
}


_BEYOND_DOUBT: Final = 10.0
"""Times the threshold, a deviation that no plausible error explains."""


def judge_deviation(deviation: float, error: float | None, threshold: float) -> Verdict:
    """Judge a deviation that has a standard error.

    Args:
        deviation: Not negative.
        error: Its standard error, None where it has none, NaN where it is unknown, as from a single replica.
        threshold: In the same unit.

    Returns:
        ``does not hold`` where the threshold is passed by more than two standard errors, or, where the error is unknown, ten times
        over; ``undecided`` where it is passed by less, or where the error itself is larger than the threshold or unknown, so that
        nothing so small could be seen; ``not judged`` for NaN.
    """
    if not math.isfinite(deviation):
        return "not judged"
    noise = 0.0 if error is None else error
    if not math.isfinite(noise):
        return "does not hold" if deviation > _BEYOND_DOUBT * threshold else "undecided"
    if deviation > threshold + 2.0 * noise:
        return "does not hold"
    return "holds" if deviation <= threshold and noise <= threshold else "undecided"


def judge_distance(value: float, spread: float, ceiling: float, bound: float, factor: float) -> Verdict:
    """Judge a distance to the reference by the reference's distance to itself.

    Args:
        value: Mean distance between the trajectory and half the reference.
        spread: Its standard deviation over the splits.
        ceiling: Mean distance between two halves.
        bound: Largest plausible distance between two halves.
        factor: Allowed ratio of value and ceiling.

    Returns:
        ``undecided`` where the factor is passed, but by less than two spreads or no further than two halves of the
        reference can plausibly be apart.
    """
    if not (math.isfinite(value) and math.isfinite(ceiling)):
        return "not judged"
    if value <= factor * ceiling:
        return "holds"
    return "undecided" if value <= bound or value - 2.0 * spread <= factor * ceiling else "does not hold"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on several things that must all hold."""
    found = set(verdicts)
    order: tuple[Verdict, ...] = ("does not hold", "undecided", "holds")
    return next((verdict for verdict in order if verdict in found), "not judged")


def mean_and_error(values: Sequence[float], weights: Sequence[float] | None = None) -> tuple[float, float]:
    """Weighted mean of independent values and its standard error, widened where the values are few.

    The error is scaled by Student's t, so that twice the error covers 95 % however few values there are.

    Args:
        values: NaN are left out.
        weights: Such as lengths of runs; alike when not given.

    Returns:
        Mean and standard error; the error is NaN for a single value, both are for none.
    """
    found = np.asarray(values, dtype=np.float64)
    share = np.ones_like(found) if weights is None else np.asarray(weights, dtype=np.float64)
    good = np.isfinite(found)
    found, share = found[good], share[good]
    if not len(found):
        return float("nan"), float("nan")
    share = share / share.sum()
    mean = float(share @ found)
    if len(found) == 1:
        return mean, float("nan")
    few = float(student.ppf(0.975, len(found) - 1)) / 1.96
    return mean, few * float(np.sqrt(len(found) / (len(found) - 1.0) * (share**2 @ (found - mean) ** 2)))


def conclude(measures: Sequence[Measure]) -> str:
    """Say in a sentence what the trajectory can be trusted for, after another one where replicas were stopped."""
    lost = next((measure for measure in measures if measure.key == "stopped" and measure.model), None)
    by_verdict: dict[Verdict, list[str]] = {}
    for group, words in _SPEAKS_FOR.items():
        members = [measure for measure in measures if measure.group == group]
        verdict = worst(measure.verdict for measure in members)
        if verdict == "does not hold":
            failed = ", ".join(measure.label for measure in members if measure.verdict == verdict)
            words = f"{words}: {failed}"
        by_verdict.setdefault(verdict, []).append(words)
    parts = []
    if good := by_verdict.get("holds"):
        parts.append(f"{'they agree with it in' if lost else 'it can be trusted for'} {_listed(good)}")
    if bad := by_verdict.get("does not hold"):
        parts.append(f"{'they' if lost else 'it'} cannot be trusted for {_listed([_bracketed(words) for words in bad])}")
    if open_ := by_verdict.get("undecided"):
        parts.append(f"more data is needed to tell for {_listed(open_)}")
    before = f"{lost.model:g} {lost.note} replicas were stopped by a guard; what follows speaks of the others alone. " if lost else ""
    if not parts:
        return f"{before}Nothing about this trajectory could be judged."
    return f"{before}Measured against this reference, {'; '.join(parts)}."


def _bracketed(words: str) -> str:
    topic, _, failed = words.partition(": ")
    return f"{topic} [{failed}]"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
