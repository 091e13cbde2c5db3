"""The whole analysis on molecules of springs: same dynamics is never condemned, wrong dynamics is, for the right reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forcefree.analysis import Analysis, Thresholds, analyze
from forcefree.analysis.sample import Sample, load_sample
from forcefree.analysis.study import _energy_options
from forcefree.analysis.thermal import heat_measures
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from networks import STIFFNESS, molecular_dynamics, store


def _verdicts(analysis: Analysis, group: str) -> dict[str, str]:
    return {m.key: m.verdict for m in analysis.measures if m.group == group}


@pytest.fixture(scope="module")
def same(model_store: Path, reference_store: Path) -> Analysis:
    return analyze(model_store, reference_store, samples=200)


def test_the_same_dynamics_is_not_condemned(same: Analysis) -> None:
    assert "does not hold" not in {measure.verdict for measure in same.measures}
    assert set(_verdicts(same, "structure")) == {"structure.bond", "structure.angle", "structure.dihedral"}
    assert same.measure("stopped").verdict == "holds"
    for measure in same.measures:
        if measure.ceiling is not None and measure.group == "structure":
            assert measure.deviation < 2.5 * measure.ceiling
    assert "cannot be trusted" not in same.conclusion


def test_temperatures_stand_beside_target_and_reference(same: Analysis) -> None:
    for name in ("all", "H", "O"):
        measure = same.measure(f"temperature.{name}")
        assert measure.model == pytest.approx(300.0, abs=3.0 * measure.model_error)
        assert measure.reference == pytest.approx(300.0, abs=3.0 * measure.reference_error)
        assert measure.deviation == pytest.approx(100.0 * abs(measure.model / 300.0 - 1.0))
    assert same.measure("temperature.all").threshold == 1.0
    assert same.measure("temperature.H").threshold == 2.0


def test_the_spectrum_holds_all_vibrations(same: Analysis) -> None:
    total = same.spectrum.curves[0]
    assert [curve.name for curve in same.spectrum.curves] == ["all", "H", "O"]
    assert np.sum(total.reference) * total.x[1] == pytest.approx(6.0, rel=0.1)
    assert same.spectrum.folded is None
    assert len(same.spectrum.peaks) >= 3


def test_energies_come_from_the_calculator_in_the_provenance(same: Analysis) -> None:
    assert same.energies.calculator == "networks:Network"
    assert same.energies.failed == 0
    thermal = 1000.0 * 1.5 * 0.0259 * 0.5
    assert abs(same.measure("potential.mean").model) < thermal
    assert np.sum(same.energies.potential.model) * np.diff(same.energies.potential.x[:2])[0] == pytest.approx(1.0, abs=1e-3)


def test_it_survives_json(same: Analysis) -> None:
    text = same.model_dump_json()
    assert "NaN" not in text
    assert Analysis.model_validate_json(text) == same


def test_it_is_reproducible(same: Analysis, model_store: Path, reference_store: Path) -> None:
    assert analyze(model_store, reference_store, samples=200) == same


def test_cold_hydrogen_is_found(tmp_path: Path, reference_store: Path) -> None:
    """Velocities of hydrogen 15 % low in energy, the rest right: equipartition and spectrum of H, not the structure."""
    runs = molecular_dynamics(24, 1600, seed=5)
    cold = [replace(run, velocities=run.velocities * np.sqrt([1.0, 1.0, 0.8, 0.8])[:, None]) for run in runs]
    found = analyze(store(tmp_path / "cold.h5", cold), reference_store, calculator=None)
    assert found.measure("temperature.H").verdict == "does not hold"
    assert found.measure("temperature.O").verdict != "does not hold"
    assert "does not hold" not in _verdicts(found, "structure").values()
    assert "cannot be trusted for thermal averages" in found.conclusion
    assert found.energies is None
    assert any("True energies were not computed" in note for note in found.notes)


def test_a_softer_bond_shows_in_structure_spectrum_and_energy(tmp_path: Path, reference_store: Path) -> None:
    soft = STIFFNESS * np.array([0.3, 1.0, 1.0, 1.0, 1.0, 1.0])
    found = analyze(store(tmp_path / "soft.h5", molecular_dynamics(12, 1200, seed=6, stiffness=soft)), reference_store, samples=300)
    assert found.measure("structure.bond").verdict == "does not hold"
    assert found.measure("structure.bond").note.endswith("farthest: O0-O1")
    assert found.measure("spectrum.peaks").verdict == "does not hold"
    assert found.measure("potential.mean").verdict == "does not hold"
    assert found.measure("temperature.all").verdict != "does not hold"


def test_nve_is_held_to_its_energy_and_its_own_mean_temperature(tmp_path: Path, microcanonical: list[Trajectory]) -> None:
    reference = store(tmp_path / "reference.h5", microcanonical)
    heated = []
    for run in molecular_dynamics(6, 600, seed=7, ensemble="nve"):
        kinetic = 1.0 + 0.5 * run.times / run.times[-1]
        heated.append(replace(run, velocities=run.velocities * np.sqrt(kinetic)[:, None, None]))
    found = analyze(store(tmp_path / "nve.h5", heated), reference, samples=200)
    drift = found.measure("drift")
    assert drift.verdict == "does not hold"
    mean_kinetic = 0.5 * 6 * 8.617e-5 * 300.0
    assert drift.model == pytest.approx(0.5 * mean_kinetic * 1000.0 / 4.0 / 1.2, rel=0.5)
    assert abs(drift.reference) < 0.1
    assert found.measure("temperature.all").verdict == "not judged"
    assert found.measure("temperature.H").note == "against the trajectory's own mean"
    assert len(found.energies.total) == 6
    assert found.energies.total[0][0] == 0.0


def test_coarse_frames_are_compared_folded_alike_and_it_is_said(tmp_path: Path, others: list[Trajectory], reference_store: Path) -> None:
    coarse = store(tmp_path / "coarse.h5", [run.frames(0, len(run), 5) for run in others])
    found = analyze(coarse, reference_store, calculator="none", discard="0")
    assert found.spectrum.nyquist == pytest.approx(0.5 * 33356.4 / 10.0, rel=1e-4)
    assert found.spectrum.folded > 0.1
    assert any("appears folded" in note for note in found.notes)
    assert found.measure("spectrum.distance").verdict != "does not hold"


def test_frames_much_too_coarse_for_vibrations_are_not_judged_by_them(
    tmp_path: Path, others: list[Trajectory], reference_store: Path
) -> None:
    coarse = store(tmp_path / "coarse.h5", [run.frames(0, len(run), 16) for run in others])
    found = analyze(coarse, reference_store, calculator="none", discard="0")
    assert found.spectrum.folded > 0.5
    assert set(_verdicts(found, "vibration").values()) == {"not judged"}
    assert any("not judged" in note for note in found.notes)
    assert "vibrational" not in found.conclusion


def test_stopped_replicas_are_listed_and_counted(tmp_path: Path, others: list[Trajectory], reference_store: Path) -> None:
    stopped = replace(others[5].frames(0, 20), provenance={**others[5].provenance, "stopped": "replica 5 was stopped after 38 fs"})
    found = analyze(store(tmp_path / "traj.h5", [*others[:5], stopped]), reference_store, calculator=None)
    assert found.stopped == ["replica 5 was stopped after 38 fs"]
    assert (found.measure("stopped").model, found.measure("stopped").verdict) == (1.0, "does not hold")
    assert any("1 of 6 replicas are too short" in note for note in found.notes)
    assert found.conclusion.startswith("1 of 6 replicas were stopped by a guard; what follows speaks of the others alone.")
    assert found.trajectory.analysed_runs == 5
    longer = replace(stopped, **vars(others[5].frames(0, 60)) | {"provenance": stopped.provenance})
    found = analyze(store(tmp_path / "longer.h5", [*others[:5], longer]), reference_store, calculator=None)
    assert not any("too short" in note for note in found.notes)
    assert found.trajectory.analysed_runs == 5


def test_a_cold_run_without_a_thermostat_is_told_from_a_bad_one(tmp_path: Path, others: list[Trajectory], reference_store: Path) -> None:
    def noted(share: float) -> list[str]:
        runs = [
            replace(run, velocities=run.velocities * share**0.5, provenance={**run.provenance, "ensemble": "nve"}) for run in others
        ]  # fmt: skip
        found = analyze(store(tmp_path / f"{share}.h5", runs), reference_store, calculator="none", discard="0")
        return [note for note in found.notes if "ran without a thermostat at" in note]

    (note,) = noted(0.5)
    assert "equilibrate before" in note
    assert noted(1.0) == []


def heated(thermostat: str, rates: list[dict[str, float]], runs: list[Trajectory], time: float = 1e6) -> list[Trajectory]:
    told = ({"thermostat": thermostat, "heat": one, "heat_time": time} for one in rates)
    return [replace(run, provenance={**run.provenance, **one}) for run, one in zip(runs, told, strict=True)]


@pytest.mark.parametrize("thermostat", ["csvr", "csvr-elements", "langevin"])
def test_heat_that_forecasts_make_is_told_and_not_judged(
    tmp_path: Path, others: list[Trajectory], reference_store: Path, thermostat: str
) -> None:
    rates = [{"all": 2.0 + 0.1 * (-1) ** i, "H": 5.0 + 0.2 * (-1) ** i, "O": -1.0} for i in range(len(others))]
    rates = [{"all": one["all"]} for one in rates] if thermostat == "csvr" else rates
    found = analyze(store(tmp_path / "t.h5", heated(thermostat, rates, others)), reference_store, calculator="none", discard="0")
    heat = {measure.key.removeprefix("heat."): measure for measure in found.measures if measure.key.startswith("heat.")}
    assert set(heat) == ({"all"} if thermostat == "csvr" else {"all", "H", "O"})
    assert heat["all"].model == pytest.approx(2.0)
    assert heat["all"].model_error == pytest.approx(0.1 * 6**0.5 / 6 * 2.571 / 1.96 * (6 / 5) ** 0.5, rel=0.02)
    assert all(measure.verdict == "not judged" for measure in heat.values())
    assert found.measure("temperature.H").verdict != "not judged"
    held = [note for note in found.notes if "weak evidence of equipartition" in note]
    assert bool(held) is (thermostat != "csvr")
    assert not held or held[0].endswith("shows how much it has to hold.")
    assert "energies" not in found.conclusion


def test_heat_of_a_small_part_of_a_run_is_not_told(tmp_path: Path, others: list[Trajectory], reference_store: Path) -> None:
    span = float(others[0].times[-1] - others[0].times[0])
    for part, told in ((0.6, 1), (0.4, 0)):
        runs = heated("csvr", [{"all": 1.0}] * len(others), others, part * span)
        found = analyze(store(tmp_path / f"{part}.h5", runs), reference_store, calculator="none", discard="0")
        assert sum(measure.key.startswith("heat.") for measure in found.measures) == told


def test_trajectories_from_elsewhere_have_no_heat(same: Analysis) -> None:
    assert not any(measure.key.startswith("heat.") for measure in same.measures)


def test_one_element_has_no_heat_of_its_own() -> None:
    told = tuple(heated("csvr-elements", [{"all": 3.0, "H": 3.0}] * 2, molecular_dynamics(2, 40)))
    assert [(measure.key, measure.model) for measure in heat_measures(Sample(Path("t.h5"), told, told, 300.0))] == [("heat.all", 3.0)]


def test_why_there_are_no_energies(tmp_path: Path, others: list[Trajectory], reference_store: Path) -> None:
    trajectory = store(tmp_path / "t.h5", others)
    known = [replace(run, provenance={**run.provenance, "calculator": {"name": "emt"}}) for run in others]
    nameless = [replace(run, provenance={k: v for k, v in run.provenance.items() if k != "calculator"}) for run in others]
    for runs, why in ((known, "none were asked for"), (nameless, "none is named in the reference's provenance")):
        reference = store(tmp_path / f"{why[:8]}.h5", runs)
        notes = analyze(trajectory, reference, calculator="none", discard="0").notes
        assert any(note.startswith("True energies were not computed") and why in note for note in notes)


def test_a_reference_at_another_temperature_is_refused(tmp_path: Path, model_store: Path) -> None:
    other = store(tmp_path / "reference.h5", molecular_dynamics(4, 100, temperature=500.0))
    with pytest.raises(ForcefreeError, match="holds runs at 500 K but none at 300 K"):
        analyze(model_store, other)


def test_a_frame_that_the_calculator_refuses_is_held_against_the_trajectory(model_store: Path, reference_store: Path) -> None:
    from forcefree.reference.config import CalculatorConfig

    picky = CalculatorConfig(name="networks:Network", options={"limit": 1.47})
    found = analyze(model_store, reference_store, calculator=picky, samples=100)
    assert found.energies.failed > 0
    assert found.measure("potential.mean").verdict == "does not hold"
    assert "failed on" in found.measure("potential.mean").note


def test_thresholds_can_be_tightened(model_store: Path, reference_store: Path) -> None:
    strict = analyze(model_store, reference_store, calculator=None, thresholds=Thresholds(temperature=1e-9, peak=1e-9))
    assert strict.measure("temperature.all").verdict != "holds"
    assert strict.options["thresholds"]["peak"] == 1e-9


def test_a_single_reference_run_is_admitted_with_a_warning(tmp_path: Path, others: list[Trajectory]) -> None:
    reference = store(tmp_path / "one.h5", molecular_dynamics(1, 2400, seed=8))
    found = analyze(store(tmp_path / "traj.h5", others), reference, calculator=None)
    assert any("single run" in note for note in found.notes)
    assert found.options["pieces_of_reference"] == 4


def test_progress_is_told(model_store: Path, reference_store: Path) -> None:
    stages: list[str] = []
    analyze(model_store, reference_store, calculator=None, progress=stages.append)
    assert stages == ["reading", "temperatures", "true energies", "vibrations", "structure"]


def test_the_run_that_is_shown_is_not_one_that_stopped_early(
    tmp_path: Path, others: list[Trajectory], thermostatted: list[Trajectory]
) -> None:
    trajectory = store(tmp_path / "t.h5", [others[0].frames(0, 40), others[1].frames(0, 200)])
    reference = store(tmp_path / "r.h5", [run.frames(0, 200) for run in thermostatted[:3]])
    found = analyze(trajectory, reference, calculator=None, discard="0", splits=2)
    assert (found.trajectory.shown_run, found.reference.shown_run) == ("run_0001", "run_0000")
    assert found.trajectory.analysed_runs == 2


def test_a_stored_calculator_that_is_unknown_here_matters_only_where_it_is_asked_for(tmp_path: Path, others: list[Trajectory]) -> None:
    strange = [replace(run.frames(0, 40), provenance={"calculator": {"name": "emt", "device": "cuda"}}) for run in others[:1]]
    reference = load_sample(store(tmp_path / "r.h5", strange))
    assert _energy_options(None, reference, 10, 1) is None
    with pytest.raises(ForcefreeError, match=r"the calculator in .*r\.h5: device: is not an option here"):
        _energy_options("stored", reference, 10, 1)
