"""Potential energies are compared like with like; what the calculator cannot do counts against the trajectory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forcefree.analysis.energetics import EnergyOptions, drift_measure, potential_measures
from forcefree.analysis.pieces import Piece
from forcefree.analysis.sample import Sample
from forcefree.analysis.verdict import Thresholds
from forcefree.data.trajectory import Trajectory
from forcefree.reference.config import CalculatorConfig
from networks import CALCULATOR

NETWORK = CalculatorConfig.model_validate(CALCULATOR)
STORED = EnergyOptions(NETWORK, stored=True, samples=240)


def _pieces(runs: list[Trajectory]) -> list[Piece]:
    return [Piece(index, run) for index, run in enumerate(runs)]


def _sample(runs: list[Trajectory]) -> Sample:
    return Sample(Path("x.h5"), tuple(runs), tuple(runs), 300.0)


def test_the_same_potential_agrees(others: list[Trajectory], thermostatted: list[Trajectory]) -> None:
    (mean, distribution), result = potential_measures(_pieces(others), _pieces(thermostatted), 300.0, STORED, Thresholds(), 0)
    assert mean.deviation < 3.0 * mean.deviation_error
    assert distribution.verdict in {"holds", "undecided"}
    assert distribution.threshold == pytest.approx(1.5 * distribution.ceiling)
    assert result.samples == 6 * 20


def test_stored_and_recomputed_reference_energies_agree(others: list[Trajectory], thermostatted: list[Trajectory]) -> None:
    found = [
        potential_measures(_pieces(others), _pieces(thermostatted), 300.0, replace(STORED, stored=stored), Thresholds(), 0)[0][0]
        for stored in (True, False)
    ]
    assert found[0].model == pytest.approx(found[1].model, abs=1e-6)


def test_the_threshold_is_a_fraction_of_the_thermal_energy(others: list[Trajectory], thermostatted: list[Trajectory]) -> None:
    measure = potential_measures(_pieces(others), _pieces(thermostatted), 300.0, STORED, Thresholds(potential=0.1), 0)[0][0]
    assert measure.threshold == pytest.approx(0.1 * 1.5 * 25.852, rel=1e-3)


def test_one_wild_frame_does_not_stretch_the_bins(others: list[Trajectory], thermostatted: list[Trajectory]) -> None:
    torn = others[0].positions.copy()
    torn[0, 3] += 30.0
    wild = [replace(others[0], positions=torn), *others[1:]]
    (mean, _), result = potential_measures(_pieces(wild), _pieces(thermostatted), 300.0, STORED, Thresholds(), 0)
    reach = np.ptp(result.potential.x)
    plain = potential_measures(_pieces(others), _pieces(thermostatted), 300.0, STORED, Thresholds(), 0)[1]
    assert reach < 12.0 * np.ptp(plain.potential.x)
    assert mean.model > 100.0


def test_honest_nve_has_no_drift(microcanonical: list[Trajectory]) -> None:
    measure, times, total = drift_measure(_sample(microcanonical), _sample(microcanonical), STORED, Thresholds())
    assert measure.verdict == "holds"
    assert abs(measure.model) < 0.2
    assert measure.reference == pytest.approx(measure.model, abs=0.2)
    assert len(total) == 8
    assert times[-1] == pytest.approx(1.2, abs=0.1)


@pytest.mark.parametrize("rate", [-5.0, 5.0])
def test_a_drift_keeps_its_sign(microcanonical: list[Trajectory], rate: float) -> None:
    """Kinetic energy that is taken out or put in at a known rate comes back as that rate, in meV/atom/ps."""
    drifting = []
    for run in microcanonical:
        kinetic = 0.5 * 103.642696562 * (run.masses[:, None] * run.velocities**2).sum(axis=(1, 2))
        wanted = np.maximum(kinetic + rate * 4.0 * 1e-6 * run.times, 0.0)
        drifting.append(replace(run, velocities=run.velocities * np.sqrt(wanted / kinetic)[:, None, None]))
    measure = drift_measure(_sample(drifting), _sample(microcanonical), STORED, Thresholds())[0]
    assert measure.model == pytest.approx(rate, abs=0.5)
    assert measure.verdict == "does not hold"


def test_nothing_is_discarded_from_the_drift(microcanonical: list[Trajectory]) -> None:
    whole = _sample(microcanonical)
    kept = replace(whole, runs=tuple(run.frames(300, 600) for run in microcanonical))
    measures = [drift_measure(sample, whole, STORED, Thresholds())[0] for sample in (whole, kept)]
    assert measures[0] == measures[1]


def test_frames_without_an_energy_are_gaps_in_the_lines(microcanonical: list[Trajectory]) -> None:
    picky = EnergyOptions(CalculatorConfig(name="networks:Network", options={"limit": 1.5}), stored=False, samples=240)
    total = drift_measure(_sample(microcanonical), _sample(microcanonical), picky, Thresholds())[2]
    assert any(value is None for run in total for value in run)


def test_a_run_that_a_guard_stopped_has_no_say_in_the_drift(microcanonical: list[Trajectory]) -> None:
    heated = replace(
        microcanonical[2], velocities=microcanonical[2].velocities * np.linspace(1.0, 3.0, len(microcanonical[2]))[:, None, None]
    )
    sample = _sample(microcanonical[:2])
    aside = replace(sample, whole=(*sample.whole, heated))
    alone, beside = (drift_measure(one, sample, STORED, Thresholds())[0].model for one in (sample, aside))
    assert beside == alone is not None


def test_the_lines_of_long_and_short_runs_share_one_axis_of_time(microcanonical: list[Trajectory]) -> None:
    """A replica that stopped early, or began later, gains energy as fast as the others, and its line says so, however densely it was sampled."""
    rate, drifting = 200.0, []
    for run, frames in zip(microcanonical[:3], (120, 600, 600), strict=True):
        kinetic = 0.5 * 103.642696562 * (run.masses[:, None] * run.velocities**2).sum(axis=(1, 2))
        wanted = kinetic + rate * 4.0 * 1e-6 * run.times
        drifting.append(replace(run, velocities=run.velocities * np.sqrt(wanted / kinetic)[:, None, None]).frames(0, frames))
    drifting[2] = replace(drifting[2], times=drifting[2].times + 5000.0)
    _, times, total = drift_measure(_sample(drifting), _sample(drifting), STORED, Thresholds())
    assert times[-1] > 1.1
    assert len(total[0]) < len(total[1]) == len(total[2]) == len(times)
    for change in total:
        assert np.polyfit(times[: len(change)], np.array(change, dtype=float), 1)[0] == pytest.approx(rate, rel=0.1)


@pytest.mark.parametrize(("ensemble", "stored"), [("nvt", True), ("nve", False)])
def test_a_reference_that_keeps_no_energy_or_lacks_the_calculators_has_no_drift(
    microcanonical: list[Trajectory], ensemble: str, stored: bool
) -> None:
    reference = [replace(run, provenance={**run.provenance, "ensemble": ensemble}) for run in microcanonical[:2]]
    options = replace(STORED, stored=stored, samples=16)
    measure = drift_measure(_sample(microcanonical[:2]), _sample(reference), options, Thresholds())[0]
    assert (measure.reference, measure.reference_error) == (None, None)
    assert measure.model is not None
