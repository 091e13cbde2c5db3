"""The heat that a thermostat takes out is what the dynamics brings: none in exact dynamics, a known amount in one that pumps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from forcefree.benchmark.free_flight import FreeFlight
from forcefree.models.forecaster import Departures
from forcefree.simulation import simulate
from forcefree.simulation.building import build_engine
from forcefree.simulation.engine import Engine
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State
from forcefree.units import KINETIC_UNIT
from oracles import ATOMS, Springs, boxed, boxed_atoms, crystal_geometry, phantom

PUMP = 1.0 / 400.0  # 1/fs
THERMOSTATS = ("csvr", "csvr-elements", "langevin")


class Pump(FreeFlight):
    """Free flight in which velocities of hydrogen grow and those of oxygen shrink at the same rate."""

    def departures(self, history: tuple[State, ...], times: torch.Tensor) -> Departures:
        found, state = super().departures(history, times), history[-1]
        rate = torch.where(state.numbers == 1, 0.5 * PUMP, -0.5 * PUMP)[:, None]
        growth = torch.expm1(rate * times[:, state.system, None].to(rate))
        return Departures(found.positions, growth * state.velocities)


GAS = phantom(species=[1, 6, 7, 8]).card


def gas() -> Atoms:
    numbers = [1] * 20 + [8] * 20
    return Atoms(numbers, positions=np.random.default_rng(0).uniform(0.0, 30.0, (40, 3)), cell=[30.0] * 3, pbc=True)


OPTIONS = {
    "temperature": 300.0, "guards": False, "propagator": "direct", "interval": 10.0, "thermostat_time": 50.0, "replicas": 24, "save_every": 100.0,
}  # fmt: skip


@pytest.mark.parametrize("thermostat", THERMOSTATS)
def test_exact_dynamics_brings_no_heat(thermostat: str) -> None:
    found = simulate(boxed(), boxed_atoms(), duration="6 ps", equilibration="500 fs", thermostat=thermostat, **OPTIONS)
    for name in ("all", "H", "C", "O"):
        rates = np.array([rates[name] for rates in found.heat_taken.values()])
        assert abs(rates.mean()) < 4.5 * rates.std() / 24**0.5
        assert rates.std() < 40.0


@pytest.mark.parametrize("thermostat", ["csvr-elements", "langevin"])
@pytest.mark.parametrize("time", [50.0, 10.0])
def test_heat_that_a_pump_moves_is_taken_back(thermostat: str, time: float) -> None:
    """In ten steps and in one step of relaxation: what the velocities themselves say that the pump did."""
    options = {**OPTIONS, "thermostat": thermostat, "thermostat_time": time, "duration": 3000.0}
    values = SimulationOptions.parse(options, "test")
    engine = build_engine(Pump(GAS), State.from_atoms([gas()]), values)[0]
    brought, steps = np.zeros(2), 300
    for _ in range(steps):
        before = engine.thermostat.before(engine.state, engine.steps).velocities
        relative = engine.bodies.relative(before)
        warm = 0.5 * KINETIC_UNIT * engine.state.masses * relative.square().sum(dim=1)
        light = engine.state.numbers == 1
        brought += [float(warm[light].sum()) * np.expm1(PUMP * 10.0), float(warm[~light].sum()) * np.expm1(-PUMP * 10.0)]
        engine.step()
    rates = [1e6 * one / (24 * 20 * 10.0 * steps) for one in brought]
    found = engine.heat_taken().values()
    for name, rate in zip(("H", "O"), rates, strict=True):
        assert np.mean([one[name] for one in found]) == pytest.approx(rate, rel=0.02)
    assert rates[0] > 80.0
    assert rates[1] < -60.0


def test_the_heat_of_the_whole_is_that_of_the_elements_by_their_atoms() -> None:
    found = simulate(boxed(shrink=0.001), boxed_atoms(), duration="2 ps", thermostat="csvr-elements", **OPTIONS)
    for rates in found.heat_taken.values():
        whole = (6 * rates["H"] + 2 * rates["C"] + rates["O"]) / 9
        assert rates["all"] == pytest.approx(whole, abs=1e-9)
    assert np.mean([rates["all"] for rates in found.heat_taken.values()]) < -10.0


def test_only_steps_after_equilibration_count_and_nve_has_no_heat() -> None:
    def rates(**options: object) -> dict[int, dict[str, float]]:
        return simulate(Pump(GAS), gas(), **{**OPTIONS, "replicas": 1, "duration": "1 ps", **options}).heat_taken

    assert rates(ensemble="nve", equilibration="500 fs") == {}
    cold = gas()
    cold.set_velocities(np.random.default_rng(1).normal(size=(40, 3)) * 1e-6)
    values = SimulationOptions.parse({**OPTIONS, "replicas": 1, "duration": "1 ps", "equilibration": "1 ps", "velocities": "start"}, "test")
    engine = build_engine(Pump(GAS), State.from_atoms([cold]), values)[0]
    for _ in range(100):
        engine.step()
    assert engine.heat_taken() == {}
    engine.step()
    assert set(engine.heat_taken()[0]) == {"all", "H", "O"}


def test_a_run_that_goes_on_remembers_its_heat(tmp_path: Path) -> None:
    options = {**OPTIONS, "replicas": 2, "thermostat": "csvr-elements"}
    whole = simulate(Pump(GAS), gas(), duration="2 ps", **options)
    simulate(Pump(GAS), gas(), duration="1 ps", output=tmp_path / "run.h5", **options)
    found = simulate(Pump(GAS), gas(), duration="2 ps", output=tmp_path / "run.h5", resume=True, **options)
    assert found.heat_taken == whole.heat_taken
    assert next(found.trajectories()).provenance["heat_taken"] == whole.heat_taken[0]


def test_a_checkpoint_from_before_there_was_a_meter_is_measured_from_there() -> None:
    values = SimulationOptions.parse({**OPTIONS, "duration": "1 ps"}, "test")

    def fresh() -> Engine:
        return build_engine(Pump(GAS), State.from_atoms([gas()]), values)[0]

    old, new = fresh(), fresh()
    old.step()
    new.recall({name: value for name, value in old.memory().items() if not name.startswith("heat")})
    assert new.heat_taken() == {}


class Cut(Springs):
    """Nowhere for the first replica after 200 fs."""

    def departures(self, history: tuple[State, ...], times: torch.Tensor) -> Departures:
        found, state = Departures(*super().departures(history, times)[:2]), history[-1]
        cut = ((state.system == 0) & (float(state.time.max()) > 200.0))[:, None]
        return Departures(torch.where(cut, torch.nan, found.positions), torch.where(cut, torch.nan, found.velocities))


def test_a_stopped_replica_has_no_heat_and_harms_no_other() -> None:
    options = {**OPTIONS, "replicas": 3, "guards": True, "duration": "500 fs"}
    found, kept = (
        simulate(model(ATOMS, stiffness=6.0, reference=crystal_geometry()), boxed_atoms(), **options) for model in (Cut, Springs)
    )
    assert (set(found.stopped), kept.stopped) == ({0}, {})
    assert found.heat_taken == {name: kept.heat_taken[name] for name in (1, 2)}
