"""Temperatures are held to the right goal, with errors from what is independent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forcefree.analysis.sample import Sample
from forcefree.analysis.thermal import temperature_measures, temperatures
from forcefree.analysis.verdict import Thresholds
from forcefree.data.trajectory import Trajectory
from forcefree.units import BOLTZMANN, KINETIC_UNIT


def _sample(runs: list[Trajectory], **provenance: object) -> Sample:
    told = tuple(replace(run, provenance={**run.provenance, **provenance}) for run in runs)
    value = told[0].provenance["temperature"]
    return Sample(Path("x.h5"), told, told, value)


def _by_key(model: Sample, reference: Sample, **limits: float) -> dict:
    return {measure.key: measure for measure in temperature_measures(model, reference, Thresholds(**limits))}


def test_elements_average_to_the_whole_by_their_shares(thermostatted: list[Trajectory]) -> None:
    """With 6 degrees of freedom shared between H and O, the overall temperature lies between those of the elements."""
    found = {name: mean for name, (mean, _) in temperatures(thermostatted).items()}
    assert min(found["H"], found["O"]) <= found["all"] <= max(found["H"], found["O"])


def test_errors_come_from_runs_or_else_from_blocks(thermostatted: list[Trajectory]) -> None:
    many, few = temperatures(thermostatted)["all"], temperatures(thermostatted[:1])["all"]
    assert 0.0 < many[1] < few[1]
    frozen = [replace(run, velocities=np.repeat(run.velocities[:1], len(run), axis=0), positions=np.repeat(run.positions[:1], len(run), axis=0))
              for run in thermostatted[:2]]  # fmt: skip
    assert temperatures(frozen)["all"][1] == pytest.approx(abs(np.diff([temperatures([r])["all"][0] for r in frozen])[0]) / 3.8, rel=1.0)


def test_two_nve_runs_are_two_values_not_sixteen(microcanonical: list[Trajectory]) -> None:
    """NVE runs keep their energies: blocks of one run would fake precision."""
    as_nvt = [replace(run, provenance={**run.provenance, "ensemble": "nvt"}) for run in microcanonical[:2]]
    assert temperatures(microcanonical[:2])["all"][1] > temperatures(as_nvt)["all"][1]


def test_nvt_is_held_to_its_target(thermostatted: list[Trajectory], others: list[Trajectory]) -> None:
    measure = _by_key(_sample(others, temperature=400.0), _sample(thermostatted))["temperature.all"]
    assert measure.verdict == "does not hold"
    assert measure.note == "target 400 K"
    assert measure.deviation == pytest.approx(25.0, abs=6.0)


def test_without_a_target_the_reference_is_the_goal(thermostatted: list[Trajectory], others: list[Trajectory]) -> None:
    found = _by_key(_sample(others, temperature=None), _sample(thermostatted, temperature=None))
    measure = found["temperature.all"]
    assert measure.note == "against the reference's mean"
    assert measure.deviation == pytest.approx(100.0 * abs(measure.model / measure.reference - 1.0))
    assert measure.deviation_error > 100.0 * measure.model_error / measure.reference


def test_wide_limits_let_the_same_dynamics_hold(thermostatted: list[Trajectory], others: list[Trajectory]) -> None:
    found = _by_key(_sample(others), _sample(thermostatted), temperature=0.3, element_temperature=0.3)
    assert {measure.verdict for measure in found.values()} == {"holds"}


def test_nve_elements_are_held_to_their_own_mean(microcanonical: list[Trajectory]) -> None:
    """Twice the energy is no offence; twice the energy in one element is."""
    hot = [replace(run, velocities=run.velocities * np.sqrt(2.0)) for run in microcanonical]
    found = _by_key(_sample(hot), _sample(microcanonical))
    plain = _by_key(_sample(microcanonical), _sample(microcanonical))
    assert found["temperature.all"].verdict == "not judged"
    assert found["temperature.H"].deviation == pytest.approx(plain["temperature.H"].deviation)


def test_long_runs_weigh_more_and_two_of_them_give_an_error() -> None:
    """Two NVE runs of constant temperature, one three times as long as the other."""
    rng = np.random.default_rng(9)
    runs = []
    for kelvin, frames in ((200.0, 60), (400.0, 180)):
        velocities = rng.normal(size=(5, 3))
        velocities -= velocities.mean(axis=0)
        velocities *= np.sqrt(12.0 * BOLTZMANN * kelvin / (KINETIC_UNIT * 40.0 * (velocities**2).sum()))
        still = np.repeat(rng.normal(size=(1, 5, 3)), frames, axis=0)
        told = {"ensemble": "NVE"}
        runs.append(
            Trajectory(
                "r", np.full(5, 18), np.full(5, 40.0), np.arange(frames) * 1.0, still, np.repeat(velocities[None], frames, axis=0),
                cell=20.0 * np.eye(3), pbc=np.ones(3, dtype=bool), provenance=told,
            )
        )  # fmt: skip
    mean, error = temperatures(runs)["all"]
    assert mean == pytest.approx(350.0)
    assert error == pytest.approx(12.706 / 1.96 * np.sqrt(2.0 * (0.25**2 * 150.0**2 + 0.75**2 * 50.0**2)), rel=1e-3)
