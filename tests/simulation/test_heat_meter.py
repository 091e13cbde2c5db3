"""The heat that forecasts make, and a thermostat takes out: none in exact dynamics, a known amount in one that pumps."""

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
from oracles import ATOMS, Springs, boxed, boxed_atoms, crystal_geometry, phantom, phantom_start

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
def test_exact_dynamics_makes_no_heat(thermostat: str) -> None:
    """But for the potential energies of the first frame and the last: 24 of 27 degrees of freedom of nine atoms, over 6 ps."""
    model = boxed()
    start = State.from_atoms([boxed_atoms()] * 24).with_(positions=model.canonical_positions(300.0, 24))
    found = simulate(model, start, duration="6 ps", equilibration="100 fs", thermostat=thermostat, **{**OPTIONS, "replicas": 1})
    for name in ("all", "H", "C", "O") if thermostat != "csvr" else ("all",):
        rates = np.array([rates[name] for rates in found.heat.values()])
        assert abs(rates.mean()) < 4.5 * rates.std() / 24**0.5
        assert rates.std() < (4.0 if name == "all" else 40.0)


@pytest.mark.parametrize("rotation", [False, True])
@pytest.mark.parametrize("thermostat", THERMOSTATS)
def test_isolated_molecules_that_rotate_or_not_make_none_either(thermostat: str, rotation: bool) -> None:
    start = phantom_start(24)
    options = {**OPTIONS, "replicas": 1}
    found = simulate(phantom(), start, duration="4 ps", equilibration="1 ps", thermostat=thermostat, rotation=rotation, **options)
    rates = np.array([rates["all"] for rates in found.heat.values()])
    assert abs(rates.mean()) < 4.5 * rates.std() / 24**0.5
    assert rates.std() < 6.0


def test_a_relaxed_start_takes_up_heat_and_so_is_not_measured() -> None:
    assert simulate(boxed(), boxed_atoms(), duration="1 ps", **OPTIONS).heat == {}


def test_under_one_factor_for_all_the_elements_are_not_told_apart() -> None:
    found = simulate(boxed(shrink=0.001), boxed_atoms(), duration="1 ps", equilibration="1 ps", **OPTIONS).heat
    assert all(set(rates) == {"all"} for rates in found.values())
    assert np.mean([rates["all"] for rates in found.values()]) < -10.0


@pytest.mark.parametrize("thermostat", ["csvr-elements", "langevin"])
@pytest.mark.parametrize("time", [50.0, 10.0])
def test_heat_that_a_pump_moves_is_taken_back(thermostat: str, time: float) -> None:
    """In ten steps and in one step of relaxation: what the velocities themselves say that the pump did."""
    options = {**OPTIONS, "thermostat": thermostat, "thermostat_time": time, "duration": 3000.0, "equilibration": 10.0}
    values = SimulationOptions.parse(options, "test")
    engine = build_engine(Pump(GAS), State.from_atoms([gas()]), values)[0]
    engine.step()
    brought, steps = np.zeros(2), 300
    for _ in range(steps):
        before = engine.thermostat.before(engine.state, engine.steps).velocities
        relative = engine.bodies.relative(before)
        warm = 0.5 * KINETIC_UNIT * engine.state.masses * relative.square().sum(dim=1)
        light = engine.state.numbers == 1
        brought += [float(warm[light].sum()) * np.expm1(PUMP * 10.0), float(warm[~light].sum()) * np.expm1(-PUMP * 10.0)]
        engine.step()
    rates = [1e6 * one / (24 * 20 * 10.0 * steps) for one in brought]
    found = engine.heat().values()
    for name, rate in zip(("H", "O"), rates, strict=True):
        assert np.mean([one[name] for one in found]) == pytest.approx(rate, rel=0.02)
    assert rates[0] > 80.0
    assert rates[1] < -60.0


def test_the_heat_of_the_whole_is_that_of_the_elements_by_their_atoms() -> None:
    found = simulate(boxed(shrink=0.001), boxed_atoms(), duration="2 ps", equilibration="1 ps", thermostat="csvr-elements", **OPTIONS)
    for rates in found.heat.values():
        whole = (6 * rates["H"] + 2 * rates["C"] + rates["O"]) / 9
        assert rates["all"] == pytest.approx(whole, abs=1e-9)
    assert np.mean([rates["all"] for rates in found.heat.values()]) < -10.0


def test_only_steps_after_equilibration_count_and_nve_has_no_heat() -> None:
    def rates(**options: object) -> dict[int, dict[str, float]]:
        return simulate(Pump(GAS), gas(), **{**OPTIONS, "replicas": 1, "duration": "1 ps", "equilibration": "500 fs", **options}).heat

    assert rates(ensemble="nve") == {}
    assert set(rates()[0]) == {"all"}
    cold = gas()
    cold.set_velocities(np.random.default_rng(1).normal(size=(40, 3)) * 1e-6)
    values = SimulationOptions.parse(
        {**OPTIONS, "replicas": 1, "duration": "1 ps", "equilibration": "1 ps", "velocities": "start", "thermostat": "langevin"}, "test"
    )
    engine = build_engine(Pump(GAS), State.from_atoms([cold]), values)[0]
    for _ in range(100):
        engine.step()
    assert engine.heat() == {}
    engine.step()
    assert set(engine.heat()[0]) == {"all", "H", "O"}


def test_a_run_that_goes_on_remembers_its_heat(tmp_path: Path) -> None:
    options = {**OPTIONS, "replicas": 2, "thermostat": "csvr-elements", "equilibration": "500 fs"}
    whole = simulate(Pump(GAS), gas(), duration="2 ps", **options)
    simulate(Pump(GAS), gas(), duration="1 ps", output=tmp_path / "run.h5", **options)
    found = simulate(Pump(GAS), gas(), duration="2 ps", output=tmp_path / "run.h5", resume=True, **options)
    assert found.heat == whole.heat
    said = next(found.trajectories()).provenance
    assert (said["heat"], said["heat_time"]) == (whole.heat[0], 2000.0)


def test_a_checkpoint_from_before_there_was_a_meter_is_measured_from_there() -> None:
    values = SimulationOptions.parse({**OPTIONS, "duration": "1 ps", "equilibration": 10.0}, "test")

    def fresh() -> Engine:
        return build_engine(Pump(GAS), State.from_atoms([gas()]), values)[0]

    old, new = fresh(), fresh()
    for _ in range(3):
        old.step()
    assert set(old.heat()) == set(range(24))
    assert old.heat_times() == dict.fromkeys(range(24), 20.0)
    new.recall({name: value for name, value in old.memory().items() if not name.startswith("heat")})
    assert new.heat() == {}


class Cut(Springs):
    """Nowhere for the first replica after 200 fs."""

    def departures(self, history: tuple[State, ...], times: torch.Tensor) -> Departures:
        found, state = Departures(*super().departures(history, times)[:2]), history[-1]
        cut = ((state.system == 0) & (float(state.time.max()) > 200.0))[:, None]
        return Departures(torch.where(cut, torch.nan, found.positions), torch.where(cut, torch.nan, found.velocities))


def test_a_stopped_replica_has_no_heat_and_harms_no_other() -> None:
    options = {**OPTIONS, "replicas": 3, "guards": True, "duration": "500 fs", "equilibration": 10.0}
    found, kept = (
        simulate(model(ATOMS, stiffness=6.0, reference=crystal_geometry()), boxed_atoms(), **options) for model in (Cut, Springs)
    )
    assert (set(found.stopped), kept.stopped) == ({0}, {})
    assert found.heat == {name: kept.heat[name] for name in (1, 2)}
