"""Verdicts follow their rules, and nothing is claimed that the sampling error hides."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from forcefree.analysis.result import Measure, Verdict
from forcefree.analysis.verdict import Thresholds, conclude, judge_deviation, judge_distance, mean_and_error, worst


@pytest.mark.parametrize(
    ("deviation", "error", "verdict"),
    [
        (0.5, 0.1, "holds"),
        (0.5, None, "holds"),
        (1.1, 0.1, "undecided"),
        (1.3, 0.1, "does not hold"),
        (1.1, None, "does not hold"),
        (0.1, 3.0, "undecided"),
        (float("nan"), 0.1, "not judged"),
        (0.5, float("nan"), "undecided"),
        (5.0, float("nan"), "undecided"),
        (100.0, float("nan"), "does not hold"),
    ],
)
def test_deviations(deviation: float, error: float | None, verdict: Verdict) -> None:
    assert judge_deviation(deviation, error, 1.0) == verdict


@pytest.mark.parametrize(
    ("value", "spread", "bound", "verdict"),
    [(0.14, 0.01, 0.12, "holds"), (0.3, 0.01, 0.4, "undecided"), (0.3, 0.1, 0.2, "undecided"), (0.3, 0.01, 0.2, "does not hold")],
)
def test_distances(value: float, spread: float, bound: float, verdict: Verdict) -> None:
    assert judge_distance(value, spread, 0.1, bound, 1.5) == verdict


def test_a_distance_that_is_no_number_is_not_judged() -> None:
    assert judge_distance(math.nan, 0.1, 0.1, 0.1, 1.5) == "not judged"


def test_the_worst_of_several() -> None:
    assert worst(["holds", "undecided", "does not hold"]) == "does not hold"
    assert worst(["holds", "not judged"]) == "holds"
    assert worst([]) == "not judged"


def test_mean_and_error_of_runs() -> None:
    values = list(np.random.default_rng(0).normal(5.0, 2.0, 400))
    mean, error = mean_and_error(values)
    assert mean == pytest.approx(np.mean(values))
    assert error == pytest.approx(np.std(values, ddof=1) / 20.0, rel=0.01)
    assert mean_and_error([1.0, float("nan"), 3.0])[0] == 2.0
    assert mean_and_error([1.0, 3.0], [3.0, 1.0])[0] == 1.5
    assert math.isnan(mean_and_error([1.0])[1])
    assert math.isnan(mean_and_error([])[0])


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_twice_the_error_covers_95_percent_however_few_runs(count: int) -> None:
    draws = np.random.default_rng(count).normal(size=(2000, count))
    found = [mean_and_error(list(row)) for row in draws]
    covered = np.mean([abs(mean) <= 1.96 * error for mean, error in found])
    assert covered == pytest.approx(0.95, abs=0.02)


def test_the_conclusion_names_what_failed() -> None:
    measures = [
        Measure(key="a", group="ensemble", label="temperature of C", verdict="does not hold"),
        Measure(key="b", group="structure", label="angles", verdict="holds"),
        Measure(key="c", group="vibration", label="peaks", verdict="undecided"),
        Measure(key="d", group="transport", label="diffusion", verdict="not judged"),
    ]
    assert conclude(measures) == (
        "Measured against this reference, it can be trusted for structure and conformations; it cannot be trusted for thermal averages "
        "(temperature and equipartition) [temperature of C]; more data is needed to tell for vibrational spectra."
    )
    assert conclude([]) == "Nothing about this trajectory could be judged."


def test_the_conclusion_speaks_of_survivors_alone_where_replicas_were_lost() -> None:
    measures = [
        Measure(
            key="stopped", group="completeness", label="replicas stopped by a guard", model=12.0, note="of 64", verdict="does not hold"
        ),
        Measure(key="b", group="structure", label="angles", verdict="holds"),
        Measure(key="c", group="vibration", label="peaks", verdict="does not hold"),
    ]
    assert conclude(measures) == (
        "12 of 64 replicas were stopped by a guard; what follows speaks of the others alone. Measured against this reference, they agree "
        "with it in structure and conformations; they cannot be trusted for vibrational spectra [peaks]."
    )
    none = [measures[0].model_copy(update={"model": 0.0, "verdict": "holds"}), measures[1]]
    assert conclude(none) == "Measured against this reference, it can be trusted for structure and conformations."


def test_thresholds_must_make_sense() -> None:
    with pytest.raises(ValidationError):
        Thresholds(drift=0.0)
    with pytest.raises(ValidationError):
        Thresholds(distance_factor=0.5)


def test_where_halves_bound_nothing_a_distance_is_never_condemned() -> None:
    assert judge_distance(0.99, 0.001, 0.01, math.inf, 1.5) == "undecided"
    assert judge_distance(0.01, 0.001, 0.01, math.inf, 1.5) == "holds"
    assert judge_distance(0.3, 0.01, math.nan, math.inf, 1.5) == "not judged"
