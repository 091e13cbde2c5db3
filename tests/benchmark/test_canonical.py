"""Canonical rollouts of an Einstein crystal, whose averages are known, under its exact dynamics and under a slow one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import copper
from forcefree.benchmark.canonical import CanonicalRun, blind_rows, canonical_rows
from forcefree.benchmark.large_cell import large_rows
from forcefree.benchmark.propagation import Propagation
from forcefree.benchmark.table import Table
from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.forecaster import Departures, Forecaster
from forcefree.state import State
from forcefree.units import BOLTZMANN, KINETIC_UNIT
from networks import MASSES, energies_and_forces, molecular_dynamics, store

TURN = 0.02
"""rad/fs: a vibration of about 100 cm^-1."""

SITES = copper.crystal().positions


class Einstein(Forecaster):
    """Every atom swings about its site, at ``factor`` times the right frequency."""

    def __init__(self, factor: float = 1.0, repeats: int = 1) -> None:
        super().__init__(Card(name="einstein", model="einstein", species=[29], t_max=20.0, cutoff=4.0, temperatures=[300.0]))
        self._turn = factor * TURN
        self._sites = torch.tensor(copper.crystal().repeat(repeats).positions)

    def departures(self, history: tuple[State, ...], times: torch.Tensor) -> Departures:
        state = history[-1]
        away = state.positions - self._sites.repeat(state.n_systems, 1)
        angle = self._turn * times[:, state.system, None]
        still = angle.cos() - 1.0
        positions = away * still + state.velocities * (angle.sin() - angle) / self._turn
        return Departures(positions, state.velocities * still - away * self._turn * angle.sin())


def swinging(seed: int, frames: int = 200, spacing: float = 10.0) -> Trajectory:
    """A canonical run at 300 K: exact sines from a canonical start."""
    rng = np.random.default_rng(seed)
    masses = copper.crystal().get_masses()
    speed = np.sqrt(BOLTZMANN * 300.0 / (KINETIC_UNIT * masses))[:, None]
    away, velocities = (part - part.mean(axis=0) for part in (speed / TURN, speed) * rng.normal(size=(2, *SITES.shape)))
    angle = TURN * spacing * np.arange(frames)[:, None, None]
    told = {"temperature": 300.0, "ensemble": "nvt", "level_of_theory": "Einstein"}
    return Trajectory(
        f"run_{seed:04d}", np.full(len(SITES), 29), masses, spacing * np.arange(frames),
        SITES + away * np.cos(angle) + velocities / TURN * np.sin(angle), velocities * np.cos(angle) - away * TURN * np.sin(angle),
        cell=copper.crystal().cell.array, pbc=np.ones(3, dtype=bool), provenance=told,
    )  # fmt: skip


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copper.store(tmp_path_factory.mktemp("einstein") / "reference.h5", [swinging(seed) for seed in range(8)])


def rows(model: Forecaster, reference: Path, folder: Path) -> dict[str, float]:
    table = Table("canonical", folder)
    run = CanonicalRun(replicas=8, duration=2000.0, thermostat_time=100.0)
    canonical_rows(table, model, reference, Propagation("direct", 20.0, None), run)
    found = json.loads(table.save().read_text(encoding="utf-8"))
    return {row["figure"].removeprefix("8 x 2 ps at 300 K, direct 20 fs: "): row["measured"] for row in found}


def test_exact_dynamics_passes(reference: Path, tmp_path: Path) -> None:
    found = rows(Einstein(), reference, tmp_path)
    assert found["replicas lost"] == 0
    assert found["temperature, value"] == pytest.approx(300.0, rel=0.05)
    halves = found["RDF L1 distance of one half of the reference's runs from the other"]
    assert found["RDF L1 distance"] < 2.0 * halves


def test_a_crystal_that_is_too_soft_does_not(reference: Path, tmp_path: Path) -> None:
    """At 0.7 of the frequency atoms swing 1.4 times as far: peaks are broader by as much."""
    exact, soft = rows(Einstein(), reference, tmp_path), rows(Einstein(0.7), reference, tmp_path)
    assert soft["RDF L1 distance"] > 4.0 * exact["RDF L1 distance"]
    assert soft["vibrational density of states"] > 3.0 * exact["vibrational density of states"]


def test_a_reference_of_one_run_has_no_halves(tmp_path: Path) -> None:
    single = copper.store(tmp_path / "one.h5", [swinging(0)])
    assert not any("half" in figure for figure in rows(Einstein(), single, tmp_path))


def test_a_reference_that_cannot_be_compared_is_one_sentence(tmp_path: Path) -> None:
    silent = copper.store(tmp_path / "silent.h5", [replace(swinging(0), provenance={})])
    with pytest.raises(ForcefreeError, match=r"silent\.h5 does not say its temperature"):
        rows(Einstein(), silent, tmp_path)
    warm = replace(swinging(1), provenance={"temperature": 500.0, "ensemble": "nvt"})
    mixed = copper.store(tmp_path / "mixed.h5", [swinging(0), warm])
    with pytest.raises(ForcefreeError, match="300"):
        rows(Einstein(), mixed, tmp_path)


def table_of(folder: Path, fill: Callable[[Table], None]) -> dict[str, float]:
    table = Table("rows", folder)
    fill(table)
    return {row["figure"]: row["measured"] for row in json.loads(table.save().read_text(encoding="utf-8"))}


def test_a_large_cell_of_exact_dynamics_is_the_small_one(reference: Path, tmp_path: Path) -> None:
    run, how = CanonicalRun(duration=2000.0, thermostat_time=100.0), Propagation("direct", 20.0, None)
    label = "256 atoms, 2 ps at 300 K, direct 20 fs: "
    exact, soft = (
        table_of(tmp_path, lambda table, factor=factor: large_rows(table, Einstein(factor, 2), reference, how, run, 2))  # type: ignore[misc]
        for factor in (1.0, 0.7)
    )
    assert exact[label + "lost"] == 0
    assert abs(exact[label + "temperature of Cu, deviation"]) < 8.0
    distance = label + "RDF L1 distance from the small cell"
    assert soft[distance] > 2.0 * exact[distance]


class Lost(Einstein):
    """Nowhere after the first step."""

    def departures(self, history: tuple[State, ...], times: torch.Tensor) -> Departures:
        found = super().departures(history, times)
        return Departures(torch.full_like(found.positions, torch.nan), found.velocities)


def test_rollouts_that_are_lost_are_counted_and_not_judged(reference: Path, tmp_path: Path) -> None:
    run, how = CanonicalRun(replicas=3, duration=200.0), Propagation("direct", 20.0, None)
    table = Table("lost", tmp_path)
    canonical_rows(table, Lost(), reference, how, run)
    large_rows(table, Lost(repeats=2), reference, how, run, 2)
    assert [(row.figure, row.measured, row.unit, row.holds) for row in table.rows] == [
        ("3 x 0.2 ps at 300 K, direct 20 fs: replicas lost", 3.0, "of 3", False),
        ("256 atoms, 0.2 ps at 300 K, direct 20 fs: lost", 1.0, "of 1", False),
    ]


class OneLost(Einstein):
    """The first of the replicas is nowhere after a while."""

    asked = 0

    def departures(self, history: tuple[State, ...], times: torch.Tensor) -> Departures:
        found = super().departures(history, times)
        self.asked += 1
        lost = (history[-1].system == 0) & (self.asked > 145)
        return Departures(torch.where(lost[:, None], torch.nan, found.positions), found.velocities)


def test_those_that_last_are_judged_beside_a_lost_one(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, how = CanonicalRun(replicas=4, duration=1000.0), Propagation("direct", 20.0, None)
    table = Table("lost", tmp_path)
    canonical_rows(table, OneLost(), reference, how, run)
    assert "replica 0 was stopped" in capsys.readouterr().err
    first, *others = table.rows
    assert (first.figure, first.measured, first.holds) == ("4 x 1 ps at 300 K, direct 20 fs: replicas lost", 1.0, False)
    assert all(row.figure.startswith("4 x 1 ps at 300 K, direct 20 fs, the 3 that last: ") for row in others)
    found = {row.figure.rpartition(": ")[2]: row for row in others}
    assert found["temperature, value"].measured == pytest.approx(300.0, rel=0.1)
    assert found["RDF L1 distance"].seeds == 3
    assert found["RDF L1 distance"].measured < 20.0


class Counted(Einstein):
    asked = 0

    def departures(self, history: tuple[State, ...], times: torch.Tensor) -> Departures:
        self.asked += 1
        return super().departures(history, times)


def test_rollouts_that_are_kept_are_not_made_again(reference: Path, tmp_path: Path) -> None:
    run, how = CanonicalRun(replicas=4, duration=1000.0, rollouts=tmp_path), Propagation("direct", 20.0, None)
    model, large = Counted(), Counted(repeats=2)
    first, again = (table_of(tmp_path, lambda table: canonical_rows(table, model, reference, how, run)) for _ in range(2))
    assert (model.asked, first) == (150, again)
    with pytest.raises(
        ForcefreeError, match=r"direct-20\.h5 is 1 ps long, not 0\.5 ps; ask for that, or keep these rollouts in another folder"
    ):
        canonical_rows(Table("short", tmp_path), model, reference, how, replace(run, duration=500.0))
    for _ in range(2):
        large_rows(Table("large", tmp_path), large, reference, how, run, 2)
    assert large.asked == 150
    assert {path.name for path in tmp_path.glob("*.h5")} == {"direct-20.h5", "256-atoms-direct-20.h5"}
    assert "direct-20.h5" != Propagation("direct", 20.0, 1, keep_energy=True).file_name == "direct-20-1-keep.h5"


def test_rollouts_of_two_thermostats_are_kept_apart(reference: Path, tmp_path: Path) -> None:
    """One element, so that both say the same; large cells too."""
    how, kept = Propagation("direct", 20.0, None), tmp_path / "kept"
    for thermostat in ("csvr", "csvr-elements"):
        run = CanonicalRun(replicas=4, duration=1000.0, thermostat=thermostat, rollouts=kept)  # type: ignore[arg-type]
        found = table_of(tmp_path, lambda table, run=run: canonical_rows(table, Einstein(), reference, how, run))  # type: ignore[misc]
        large = table_of(tmp_path, lambda table, run=run: large_rows(table, Einstein(repeats=2), reference, how, run, 2))  # type: ignore[misc]
        label = "direct 20 fs" + (", csvr-elements" if thermostat != "csvr" else "")
        assert found[f"4 x 1 ps at 300 K, {label}: temperature, value"] == pytest.approx(300.0, rel=0.1)
        assert large[f"256 atoms, 1 ps at 300 K, {label}: lost"] == 0
    names = ("direct-20", "direct-20-csvr-elements", "256-atoms-direct-20", "256-atoms-direct-20-csvr-elements")
    assert {path.name for path in kept.glob("*.h5")} == {f"{name}.h5" for name in names}
    told = [next(read_store(kept / f"{name}.h5")).provenance["thermostat"] for name in names]
    assert told == ["csvr", "csvr-elements"] * 2


def test_a_reference_that_does_not_say_its_temperature_has_no_blind_rows(tmp_path: Path) -> None:
    silent = copper.store(tmp_path / "silent.h5", [replace(swinging(0), provenance={})])
    assert table_of(tmp_path, lambda table: blind_rows(table, Einstein(), silent, CanonicalRun())) == {}
    with pytest.raises(ForcefreeError, match="does not say its temperature, so that its cell cannot be repeated"):
        large_rows(Table("large", tmp_path), Einstein(), silent, Propagation("direct", 20.0, None), CanonicalRun(), 2)


def test_only_what_is_periodic_can_be_large(tmp_path: Path) -> None:
    alone = copper.store(tmp_path / "alone.h5", [replace(swinging(0), pbc=np.zeros(3, dtype=bool))])
    with pytest.raises(ForcefreeError, match=r"alone\.h5 is not periodic"):
        large_rows(Table("large", tmp_path), Einstein(), alone, Propagation("direct", 20.0, None), CanonicalRun(), 2)


def test_straight_flight_loses_the_crystal(reference: Path, tmp_path: Path) -> None:
    found = table_of(tmp_path, lambda table: blind_rows(table, Einstein(), reference, CanonicalRun(replicas=2)))
    label = "2 x 1 ps at 300 K, no skill, free flight: "
    assert found[label.removesuffix(": ") + ", without guards: RDF L1 distance"] > 20.0
    fixed = Einstein()
    fixed.card = fixed.card.model_copy(update={"fixed_times": [20.0]})
    assert found == table_of(tmp_path, lambda table: blind_rows(table, fixed, reference, CanonicalRun(replicas=2)))


class Springs(Forecaster):
    """The honest dynamics of the molecule of springs, by velocity Verlet in steps of 0.5 fs."""

    def departures(self, history: tuple[State, ...], times: torch.Tensor) -> Departures:
        state = history[-1]
        start, speed = (part.numpy().reshape(-1, 4, 3) for part in (state.positions, state.velocities))
        where, how_fast = start, speed
        for _ in range(round(float(times[0, 0]) / 0.5)):
            how_fast = how_fast + 0.25 * energies_and_forces(where)[1] / (KINETIC_UNIT * MASSES[:, None])
            where = where + 0.5 * how_fast
            how_fast = how_fast + 0.25 * energies_and_forces(where)[1] / (KINETIC_UNIT * MASSES[:, None])
        gone = (where - start - float(times[0, 0]) * speed, how_fast - speed)
        return Departures(*(torch.tensor(part.reshape(1, -1, 3)) for part in gone))


def test_a_molecule_is_judged_by_its_pair_distances(tmp_path: Path) -> None:
    reference = store(tmp_path / "molecule.h5", molecular_dynamics(8, 1000))
    model = Springs(Card(name="springs", model="springs", species=[1, 8], t_max=2.0, cutoff=4.0, temperatures=[300.0]))
    run = CanonicalRun(replicas=8, duration=1000.0, thermostat_time=100.0)
    found = table_of(tmp_path, lambda table: canonical_rows(table, model, reference, Propagation("direct", 2.0, None), run))
    label = "8 x 1 ps at 300 K, direct 2 fs: "
    assert found[label + "replicas lost"] == 0
    assert found[label + "temperature, value"] == pytest.approx(300.0, rel=0.2)
    distance = "pair distances, L1 distance"
    assert found[label + distance] < 3.0 * found[f"{label}{distance} of one half of the reference's runs from the other"]
