"""Stores are read and checked before anything is computed; what does not fit ends in one sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forcefree.analysis.discard import Discard
from forcefree.analysis.sample import check_pair, load_sample
from forcefree.analysis.study import study_notes
from forcefree.data.h5md import StoreWriter
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from networks import molecular_dynamics, store


@pytest.fixture
def few() -> list[Trajectory]:
    return molecular_dynamics(2, 60)


def test_a_store_is_read_whole_and_without_its_start(tmp_path: Path, few: list[Trajectory]) -> None:
    sample = load_sample(store(tmp_path / "a.h5", few), discard=Discard.of("10%"))
    assert len(sample.whole) == len(sample.runs) == 2
    assert len(sample.whole[0]) == 60
    assert sample.runs[0].times[0] == pytest.approx(12.0)
    assert (sample.spacing, sample.ensemble, sample.temperature, sample.periodic) == (2.0, "nvt", 300.0, False)
    assert sample.duration == pytest.approx(2 * (118 - 12))


@pytest.mark.parametrize(("text", "first"), [("0", 0), ("10%", 6), ("50fs", 25), ("0.05ps", 25), ("0%", 0), ("99%", 59)])
def test_discard_reads_percentages_and_durations(few: list[Trajectory], text: str, first: int) -> None:
    assert Discard.of(text).first_frame(few[0]) == first


@pytest.mark.parametrize("text", ["100%", "-5%", "ten%", "5", "5 parsec"])
def test_a_wrong_discard_is_refused(text: str) -> None:
    with pytest.raises(ForcefreeError):
        Discard.of(text)


def test_missing_and_damaged_files(tmp_path: Path, few: list[Trajectory]) -> None:
    with pytest.raises(ForcefreeError, match="does not exist"):
        load_sample(tmp_path / "nothing.h5")
    whole = store(tmp_path / "whole.h5", few).read_bytes()
    for part in (0, 100, len(whole) // 2, len(whole) - 2000):
        cut = tmp_path / f"cut{part}.h5"
        cut.write_bytes(whole[:part])
        with pytest.raises(ForcefreeError, match="truncated"):
            load_sample(cut)


def test_runs_of_several_temperatures_are_never_mixed(tmp_path: Path) -> None:
    path = store(tmp_path / "a.h5", [replace(molecular_dynamics(1, 40, temperature=t)[0], name=f"at{t}") for t in (200.0, 300.0)])
    with pytest.raises(ForcefreeError, match="holds runs at 200, 300 K; choose one"):
        load_sample(path)
    assert [run.name for run in load_sample(path, temperature=200.0).runs] == ["at200.0"]
    with pytest.raises(ForcefreeError, match="holds runs at 200, 300 K but none at 350 K"):
        load_sample(path, temperature=350.0)


def test_runs_that_do_not_say_their_temperature_are_taken(tmp_path: Path, few: list[Trajectory]) -> None:
    path = store(tmp_path / "a.h5", [replace(run, provenance={}) for run in few])
    sample = load_sample(path, temperature=300.0)
    assert len(sample.runs) == 2
    assert (sample.temperature, sample.ensemble) == (None, "unknown")


def _unequal(run: Trajectory) -> Trajectory:
    times = run.times.copy()
    times[-1] += 1.0
    return replace(run, times=times)


def _broken(run: Trajectory) -> Trajectory:
    positions = run.positions.copy()
    positions[3, 0, 0] = np.nan
    return replace(run, positions=positions)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda run: replace(run, velocities=None), "no velocities in run_0001"),
        (_unequal, "equally spaced frames are needed"),
        (_broken, "not a finite number"),
        (lambda run: replace(run, velocities=0.0 * run.velocities), "velocities in run_0001 that are all zero; .* --velocities derive"),
        (lambda run: replace(run, velocities=1e3 * run.velocities), "a.h5: trajectory 'run_0001' has velocities of .* beyond 100000 K"),
        (lambda run: run.frames(0, 60, 2), "2 fs apart in run_0000 but 4 fs in run_0001"),
        (lambda run: replace(run, numbers=np.array([8, 8, 1, 9])), "different systems"),
    ],
)
def test_one_unusable_run_is_named(tmp_path: Path, few: list[Trajectory], change, sentence: str) -> None:
    path = store(tmp_path / "a.h5", [few[0], change(few[1])])
    with pytest.raises(ForcefreeError, match=sentence):
        load_sample(path)


def test_too_few_frames_count_after_discarding(tmp_path: Path, few: list[Trajectory]) -> None:
    path = store(tmp_path / "a.h5", few)
    with pytest.raises(ForcefreeError, match="has 6 frames after discarding the start; at least 32"):
        load_sample(path, discard=Discard.of("90%"))


def test_a_replica_that_stopped_early_is_kept_aside_with_its_sentence(tmp_path: Path, few: list[Trajectory]) -> None:
    stopped = replace(few[1].frames(0, 10), provenance={**few[1].provenance, "stopped": "replica 1 fell apart"})
    sample = load_sample(store(tmp_path / "a.h5", [few[0], stopped]))
    assert (len(sample.whole), len(sample.runs), sample.stopped) == (2, 1, ["replica 1 fell apart"])
    late = [replace(run, provenance={**run.provenance, "stopped": "it fell apart"}) for run in few]
    assert [run.name for run in load_sample(store(tmp_path / "late.h5", [few[0], late[1]])).runs] == [few[0].name]
    assert len(load_sample(store(tmp_path / "none.h5", late)).runs) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda run: replace(run, numbers=np.array([8, 8, 1, 9])), "holds H2O2 but .* holds HFO2; a reference of the same system"),
        (lambda run: replace(run, numbers=np.array([8, 1, 8, 1])), "the same elements in another order, first at atom 1"),
        (lambda run: replace(run, masses=run.masses + np.array([0, 0, 0, 1.0])), "atom 3 has mass 1.008 amu .* but 2.008 amu"),
        (lambda run: replace(run, cell=9.0 * np.eye(3), pbc=np.ones(3, dtype=bool)), "differ in which directions are periodic"),
    ],
)
def test_a_reference_of_another_system_is_refused(tmp_path: Path, few: list[Trajectory], change, sentence: str) -> None:
    ours = load_sample(store(tmp_path / "ours.h5", few))
    theirs = load_sample(store(tmp_path / "theirs.h5", [change(run) for run in few]))
    with pytest.raises(ForcefreeError, match=sentence):
        check_pair(ours, theirs)
    check_pair(ours, ours)


def test_cells_must_agree(tmp_path: Path, few: list[Trajectory]) -> None:
    samples = [
        load_sample(store(tmp_path / f"{a}.h5", [replace(run, cell=a * np.eye(3), pbc=np.ones(3, dtype=bool)) for run in few]))
        for a in (9.0, 9.1)
    ]
    with pytest.raises(ForcefreeError, match=r"cells that differ by more than 0\.01"):
        check_pair(*samples)


def test_the_models_own_estimate_of_its_drift_becomes_a_note(tmp_path: Path) -> None:
    runs = molecular_dynamics(2, 40)
    told = [replace(run, provenance={**run.provenance, "energy_drift": rate}) for run, rate in zip(runs, (1.0, -3.0), strict=True)]
    model, base = load_sample(store(tmp_path / "model.h5", told)), load_sample(store(tmp_path / "base.h5", runs))
    assert model.energy_drifts == [1.0, -3.0]
    notes = study_notes(model, base, None)
    assert any(
        "energy head estimates that the dynamics adds -1 meV per atom and ps" in note and "over 2 replicas" in note for note in notes
    )
    assert not any("energy head" in note for note in study_notes(base, base, None))


def test_the_spacing_is_that_of_all_runs_also_behind_one_of_a_single_frame(tmp_path: Path, few: list[Trajectory]) -> None:
    path = store(tmp_path / "a.h5", [few[0].frames(0, 1), few[1], replace(few[0].frames(0, 60, 2), name="run_0002")])
    with pytest.raises(ForcefreeError, match="2 fs apart in run_0001 but 4 fs in run_0002"):
        load_sample(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cell": 9.2 * np.eye(3)}, "cells that differ by 0.2 Å in run_0000 and run_0001; analyse one density at a time"),
        ({"masses": np.array([15.999, 15.999, 2.014, 2.014])}, "has mass 1.008 amu in run_0000 of .* but 2.014 amu in run_0001"),
    ],
)
def test_runs_of_another_density_or_of_isotopes_are_other_systems(
    tmp_path: Path, few: list[Trajectory], change: dict[str, Any], sentence: str
) -> None:
    runs = [replace(run, cell=9.0 * np.eye(3), pbc=np.ones(3, dtype=bool)) for run in few]
    assert len(load_sample(store(tmp_path / "same.h5", runs)).runs) == 2
    with pytest.raises(ForcefreeError, match=sentence):
        load_sample(store(tmp_path / "other.h5", [runs[0], replace(runs[1], **change)]))


def test_a_store_whose_writer_has_only_begun_is_told_from_a_damaged_one(tmp_path: Path, few: list[Trajectory]) -> None:
    with StoreWriter(tmp_path / "a.h5") as writer:
        writer.declare(few[0])
        writer.begin()
    with pytest.raises(ForcefreeError, match="holds no frames; let the run that writes it go on for longer"):
        load_sample(tmp_path / "a.h5")


def test_few_runs_other_conservation_and_derived_velocities_become_notes(tmp_path: Path, few: list[Trajectory]) -> None:
    spun = [replace(run, velocities=run.velocities + 0.1 * np.cross([0.0, 0.0, 1.0], run.positions)) for run in few]
    derived = [replace(run, provenance={**run.provenance, "velocities": "central differences"}) for run in spun]
    model, base = load_sample(store(tmp_path / "model.h5", derived)), load_sample(store(tmp_path / "base.h5", few))
    notes = study_notes(model, base, None)
    for part in (
        "The reference has only 2 runs",
        "The trajectory conserves momentum, the reference momentum and rotation",
        "The trajectory's velocities were derived from positions",
    ):
        assert sum(part in note for note in notes) == 1
    (note,) = [note for note in study_notes(base, model, None) if "derived" in note]
    assert note.startswith("The reference's velocities were derived from positions")
