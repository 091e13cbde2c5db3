"""Whole simulations: what is recorded, logged, refused, and what stays when something goes wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import read, write
from torch import Tensor

from forcefree.data.h5md import read_store, store_attributes, trajectory_names
from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.simulation import Progress, simulate
from forcefree.simulation.checkpoint import checkpoint_path
from forcefree.state import State
from forcefree.units import ASE_FEMTOSECOND
from oracles import boxed, boxed_atoms, phantom, phantom_start

SHORT = {"temperature": 300.0, "duration": 200.0, "guards": False, "propagator": "direct", "interval": 10.0, "save_every": 20.0}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_frames_in_memory_and_in_both_formats_are_the_same(tmp_path: Path) -> None:
    start = phantom_start(1)

    memory = list(simulate(phantom(), start, replicas=3, **SHORT).trajectories())
    stored = list(simulate(phantom(), start, replicas=3, output=tmp_path / "t.h5", **SHORT).trajectories())
    simulate(phantom(), start, replicas=3, output=tmp_path / "x.extxyz", **SHORT | {"log_every": 50.0})

    assert [t.name for t in stored] == ["replica_0000", "replica_0001", "replica_0002"]
    for index, (one, other) in enumerate(zip(memory, stored, strict=True)):
        np.testing.assert_array_equal(one.times, np.arange(11) * 20.0)
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.velocities, other.velocities)
        frames = read(tmp_path / f"x-replica_{index:04d}.extxyz", ":")
        assert [f.info["time"] for f in frames] == one.times.tolist()
        np.testing.assert_allclose([f.positions for f in frames], one.positions, atol=1e-7)
        np.testing.assert_allclose([f.get_velocities() * ASE_FEMTOSECOND for f in frames], one.velocities, atol=1e-7)
    assert not np.array_equal(memory[0].positions[0] + memory[0].velocities[0], memory[1].positions[0] + memory[1].velocities[0])


def test_one_replica_of_extended_xyz_has_the_name_that_was_asked_for(tmp_path: Path) -> None:
    result = simulate(boxed(), boxed_atoms(), output=tmp_path / "t.xyz", **SHORT)

    frames = read(tmp_path / "t.xyz", ":")
    assert len(frames) == 11
    assert frames[0].pbc.all()
    np.testing.assert_allclose(frames[0].cell.lengths(), 30.0)
    with pytest.raises(ForcefreeError, match="is extended XYZ; read it with ase"):
        list(result.trajectories())


def test_provenance_says_how_the_frames_were_made(tmp_path: Path) -> None:
    output = tmp_path / "t.h5"
    simulate(phantom(level_of_theory="springs"), phantom_start(), output=output, **SHORT | {"seed": 5, "propagator": "reversible"})

    [trajectory] = read_store(output)
    said = trajectory.provenance
    assert said["model"] == "springs"
    assert said["level_of_theory"] == "springs"
    assert said["temperature"] == 300.0
    assert said["ensemble"] == "nvt"
    assert said["thermostat"] == "csvr"
    assert said["propagator"] == {"name": "reversible", "interval": 10.0, "corrections": 1}
    assert said["seed"] == 5
    assert said["rotation"] is False
    assert store_attributes(output)["kind"] == "simulation"


def test_mdanalysis_reads_the_trajectory(tmp_path: Path) -> None:
    import MDAnalysis

    result = simulate(boxed(), boxed_atoms(), output=tmp_path / "t.h5md", **SHORT)

    universe = MDAnalysis.Universe.empty(9, trajectory=False, velocities=True)
    universe.load_new(str(result.output), format="H5MD")
    [own] = result.trajectories()
    assert len(universe.trajectory) == 11
    for frame, positions in zip(universe.trajectory, own.positions, strict=True):
        np.testing.assert_allclose(frame.positions, positions, atol=1e-5)
        np.testing.assert_allclose(frame.dimensions[:3], 30.0)
    assert universe.trajectory[3].time == pytest.approx(60.0 / 1000.0)


def test_the_log_holds_what_the_frames_say(tmp_path: Path) -> None:
    output = tmp_path / "t.h5"
    simulate(phantom(), phantom_start(), output=output, replicas=2, **SHORT | {"log_every": 20.0, "propagator": "reversible"})

    rows = _rows(tmp_path / "t.csv")
    trajectories = list(read_store(output))
    assert [(float(r["time_fs"]), int(r["replica"])) for r in rows] == [(20.0 * n, replica) for n in range(11) for replica in (0, 1)]
    for row in rows:
        frames = trajectories[int(row["replica"])]
        frame = int(float(row["time_fs"]) / 20.0)
        assert frames.velocities is not None
        kinetic = 0.5 * (frames.masses[:, None] * frames.velocities[frame] ** 2).sum() / ASE_FEMTOSECOND**2
        assert float(row["kinetic_energy_eV"]) == pytest.approx(kinetic, abs=1e-7)
        assert float(row["temperature_K"]) == pytest.approx(2 * kinetic / (21 * 8.617333e-5), rel=1e-4)
        assert float(row["momentum_amuA/fs"]) < 1e-12
        assert float(row["angular_momentum_amuA2/fs"]) < 1e-10
        assert float(row["reversal_residual_A"]) < 1e-10


def test_the_log_leaves_empty_what_has_no_meaning(tmp_path: Path) -> None:
    simulate(boxed(), boxed_atoms(), output=tmp_path / "t.h5", **SHORT)

    row = _rows(tmp_path / "t.csv")[0]
    assert row["angular_momentum_amuA2/fs"] == ""
    assert row["reversal_residual_A"] == ""


def test_dense_frames_lie_on_the_same_trajectory(tmp_path: Path) -> None:
    coarse = next(simulate(phantom(), phantom_start(), **SHORT | {"propagator": "reversible"}).trajectories())
    dense = next(simulate(phantom(), phantom_start(), **SHORT | {"propagator": "reversible", "save_every": 2.0}).trajectories())

    assert dense.spacing == pytest.approx(2.0)
    assert len(dense) == 101
    np.testing.assert_array_equal(dense.positions[::10], coarse.positions)
    np.testing.assert_array_equal(dense.velocities[::10], coarse.velocities)
    steps = np.diff(dense.positions, axis=0)
    mean = 0.5 * (dense.velocities[1:] + dense.velocities[:-1]) * 2.0
    inside = np.arange(100) % 10 != 9
    assert np.abs(steps - mean)[inside].max() < 0.02


def test_equilibration_is_not_recorded() -> None:
    whole = next(simulate(phantom(), phantom_start(), **SHORT | {"duration": 300.0}).trajectories())
    later = simulate(phantom(), phantom_start(), **SHORT | {"equilibration": "100 fs"})

    [recorded] = later.trajectories()
    np.testing.assert_array_equal(recorded.times, np.arange(11) * 20.0)
    np.testing.assert_array_equal(recorded.positions, whole.positions[5:])
    assert later.state.time.tolist() == [200.0]
    assert later.time == 200.0


def test_several_starts_and_velocities_of_the_start() -> None:
    starts = [boxed_atoms(), boxed_atoms()]
    rng = np.random.default_rng(0)
    for atoms in starts:
        atoms.set_velocities(rng.normal(size=(9, 3)) * 0.02)

    result = simulate(boxed(), starts, ensemble="nve", duration=100.0, replicas=2, guards=False, propagator="direct", interval=10.0)

    trajectories = list(result.trajectories())
    assert len(trajectories) == 4
    assert trajectories[0].velocities is not None
    np.testing.assert_allclose(trajectories[0].velocities[0], starts[0].get_velocities() * ASE_FEMTOSECOND, rtol=1e-14)
    np.testing.assert_array_equal(trajectories[1].positions, trajectories[3].positions)


def test_progress_is_told_at_the_end() -> None:
    heard: list[Progress] = []

    result = simulate(phantom(), phantom_start(), replicas=2, progress=heard.append, **SHORT)

    assert heard[-1].step == heard[-1].total == 20
    assert heard[-1].running == 2
    assert heard[-1].eta == 0.0
    assert heard[-1].time == 200.0
    assert 50.0 < heard[-1].temperature < 1000.0
    assert heard[-1].ns_per_day == pytest.approx(result.ns_per_day, rel=0.2)


def test_a_stopped_replica_keeps_its_good_frames_and_says_why(tmp_path: Path) -> None:
    class LosesOne(Forecaster):
        def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
            positions, velocities = boxed().departures(history, times)
            if float(history[-1].time.max()) >= 100.0:
                positions[:, 10] = torch.nan
            return positions, velocities

    model = LosesOne(boxed(guards={"closest": {"1-1": 0.3}, "longest_bond": {"6-6": 3.0}}).card)
    output = tmp_path / "t.h5"
    result = simulate(model, boxed_atoms(), output=output, replicas=3, **SHORT | {"guards": True, "save_every": 5.0, "log_every": 10.0})

    assert result.stopped == {1: "replica 1 was stopped after 100 fs because a position or velocity is not a finite number"}
    lengths = {t.name: len(t) for t in read_store(output)}
    assert lengths == {"replica_0000": 41, "replica_0001": 21, "replica_0002": 41}
    stopped = next(iter(read_store(output, ["replica_0001"])))
    assert stopped.provenance["stopped"] == result.stopped[1]
    assert np.isfinite(stopped.positions).all()
    assert {row["time_fs"] for row in _rows(tmp_path / "t.csv") if row["replica"] == "1"} == {f"{10 * n}" for n in range(11)}


def test_when_all_replicas_are_lost_the_run_ends_early() -> None:
    class Lost(Forecaster):
        def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
            lost = torch.full((len(times), history[-1].n_atoms, 3), torch.nan, dtype=torch.float64)
            return lost, lost

    heard: list[Progress] = []
    result = simulate(Lost(boxed().card), boxed_atoms(), replicas=2, progress=heard.append, **SHORT | {"guards": True, "duration": 1e9})

    assert sorted(result.stopped) == [0, 1]
    assert heard[-1].running == 0
    assert [len(t) for t in result.trajectories()] == [1, 1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temperature": None}, "nvt needs a temperature"),
        ({"temperature": None, "ensemble": "nve"}, "the start has no velocities; give a temperature"),
        ({"temperature": -5.0}, "temperature must lie between 0 and 100000 K, not -5 K"),
        ({"ensemble": "npt"}, "ensemble: input should be 'nve' or 'nvt'"),
        ({"thermostat": "berendsen"}, "thermostat: input should be 'csvr', 'csvr-elements' or 'langevin'"),
        ({"thermostat_time": "1 parsec"}, "'1 parsec' is not a duration"),
        ({"duration": 0.0}, "a duration must be positive and finite, not 0"),
        ({"equilibration": -3.0}, "a duration must be positive and finite, not -3"),
        ({"replicas": 0}, "replicas: input should be greater than or equal to 1"),
        ({"interval": 50.0}, "forecasts 0 to 20 fs ahead, not 50 fs"),
        ({"save_every": 7.0}, "frames every 7 fs do not fit steps of 10 fs"),
        ({"save_every": 500.0}, "a run of 200 fs has no frame but its first when frames are 500 fs apart"),
        ({"bootstrap": "trajcast-ethanol"}, r"model springs starts from one frame, so bootstrap \(trajcast-ethanol\) has nothing to make"),
        ({"colour": "red"}, "colour: is not an option here"),
        ({"ensemble": "nve", "thermostat": "langevin"}, r"so thermostat \(langevin\) would change nothing; leave it out"),
        ({"first_replica": 2**56}, r"replicas are numbered from 0 to 2\^56 - 1, so none is 72057594037927936"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0"),
        ({"device": "abacus"}, "device 'abacus' cannot be used here"),
        ({"output": "t.pdb"}, "output t.pdb has no known suffix; write .h5"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(options: dict[str, object], sentence: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ForcefreeError, match=sentence) as caught:
        simulate(phantom(), phantom_start(), **SHORT | options)
    assert "\n" not in str(caught.value)


def _start(**changes: object) -> Atoms:
    atoms = boxed_atoms()
    for key, value in changes.items():
        setattr(atoms, key, value)
    return atoms


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (Atoms("Cl9", positions=boxed_atoms().positions), "knows the elements H, C, O, not Cl"),
        (Atoms(), "the start structure has zero atoms"),
        ("no-such-file.xyz", "start structure no-such-file.xyz does not exist"),
        ("unobtainium", "'unobtainium' is neither a file nor a known start"),
        (_start(positions=boxed_atoms().positions * 0.1), "only 0.150 Å apart"),
        (_start(positions=boxed_atoms().positions * np.nan), "position that is not a finite number"),
        (_start(positions=boxed_atoms().positions * 0.4), "the simulation cannot start because atoms C0-C1 overlap at 0.600 Å"),
    ],
)
def test_impossible_starts_are_refused_in_one_sentence(start: object, sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        simulate(boxed(), start, **SHORT | {"guards": True})


def test_velocities_in_another_unit_are_refused(tmp_path: Path) -> None:
    atoms = boxed_atoms()
    atoms.set_velocities(np.full((9, 3), 3.0))
    write(tmp_path / "start.extxyz", atoms)

    with pytest.raises(ForcefreeError, match=r"velocities of .*e\+\d+ K, beyond any molecule"):
        simulate(boxed(), tmp_path / "start.extxyz", ensemble="nve", duration=100.0, propagator="direct")


def test_frames_inside_a_step_of_a_fixed_time_model_are_refused() -> None:
    model = phantom(fixed_times=[10.0])

    with pytest.raises(ForcefreeError, match="forecasts at fixed times only; save every 10 fs"):
        simulate(model, phantom_start(), **SHORT | {"save_every": 5.0})
    assert simulate(model, phantom_start(), **SHORT).time == 200.0


def test_a_place_that_cannot_be_written_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(ForcefreeError, match=r"could not be written after 0 fs .*; mend the path or its permissions"):
        simulate(phantom(), phantom_start(), output=tmp_path / "file" / "t.h5", **SHORT)


def test_an_existing_output_is_never_overwritten(tmp_path: Path) -> None:
    for name in ("t.h5", "t.csv", "t.h5.checkpoint"):
        (tmp_path / name).write_text("precious")
        with pytest.raises(ForcefreeError, match=f"{name} exists already"):
            simulate(phantom(), phantom_start(), output=tmp_path / "t.h5", **SHORT)
        assert (tmp_path / name).read_text() == "precious"
        (tmp_path / name).unlink()
    assert trajectory_names(simulate(phantom(), phantom_start(), output=tmp_path / "t.h5", **SHORT).output) == ["replica_0000"]
    assert checkpoint_path(tmp_path / "t.h5").exists()
    assert json.dumps(store_attributes(tmp_path / "t.h5"))


@pytest.mark.parametrize("output", [None, "t.h5"])
def test_replicas_that_are_lost_while_they_equilibrate_leave_no_frame(tmp_path: Path, output: str | None) -> None:
    class Lost(Forecaster):
        def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
            positions, velocities = boxed().departures(history, times)
            return (positions * torch.nan if float(history[-1].time.max()) >= -50.0 else positions), velocities

    path = None if output is None else tmp_path / output
    result = simulate(Lost(boxed().card), boxed_atoms(), replicas=2, output=path, **SHORT | {"guards": True, "equilibration": 100.0})

    assert list(result.stopped) == [0, 1]
    assert "replica 1 was stopped after -50 fs because" in result.stopped[1]
    assert list(result.trajectories()) == []


@pytest.mark.parametrize("suffix", [".h5", ".extxyz"])
def test_numbers_of_replicas_are_those_of_files_log_and_sentences(tmp_path: Path, suffix: str) -> None:
    class LosesSecond(Forecaster):
        def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
            positions, velocities = boxed().departures(history, times)
            if float(history[-1].time.max()) >= 60.0:
                positions[:, 9:18] = torch.nan
            return positions, velocities

    output = tmp_path / f"t{suffix}"
    options = SHORT | {"guards": True, "log_every": 20.0, "first_replica": 7, "replicas": 3}
    result = simulate(LosesSecond(boxed().card), boxed_atoms(), output=output, **options)

    assert result.stopped == {8: "replica 8 was stopped after 60 fs because a position or velocity is not a finite number"}
    if suffix == ".h5":
        frames = {run.provenance["replica"]: len(run) for run in read_store(output)}
    else:
        frames = {int(path.stem[-4:]): len(read(path, ":")) for path in tmp_path.glob("t-replica_*.extxyz")}
    assert frames == {7: 11, 8: 4, 9: 11}
    logged = [int(row["replica"]) for row in _rows(tmp_path / "t.csv")]
    assert {name: logged.count(name) for name in logged} == frames


def test_a_run_that_will_lose_half_of_its_heat_says_so_beforehand() -> None:
    warm = boxed_atoms()
    warm.set_velocities(0.02 * np.random.default_rng(0).normal(size=(9, 3)))
    nve = SHORT | {"ensemble": "nve"}
    for changes, said in (
        ({}, True),
        ({"equilibration": 20.0}, False),
        ({"velocities": "start"}, False),
        ({"ensemble": "nvt"}, False),
    ):
        told: list[str] = []
        simulate(boxed(), warm, notice=told.append, **nve | changes)
        assert any("drawn at 300 K, of which a relaxed start soon keeps about half; equilibrate before" in line for line in told) is said


def test_frames_that_a_model_of_one_frame_would_not_look_at_are_refused() -> None:
    with pytest.raises(ForcefreeError, match="model springs starts from one frame, not 2; give several systems as ASE structures"):
        simulate(phantom(), (phantom_start(), phantom_start(seed=1)), **SHORT)


def test_elements_that_the_thermostat_cannot_hold_are_named() -> None:
    def told(**options: object) -> list[str]:
        said: list[str] = []
        simulate(boxed(), boxed_atoms(), duration="100 fs", temperature=300.0, interval=10.0, guards=False, notice=said.append, **options)
        return [one for one in said if "thermostat of its own" in one]

    assert told(thermostat="csvr-elements") == [
        "an element with one atom has no thermostat of its own: O shares that of the centres of the elements"
    ]
    assert told() == []
