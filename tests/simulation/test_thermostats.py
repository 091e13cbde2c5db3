"""Thermostats against what is known of an ideal gas and of oscillators, and a thermostat at the beginning only."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from forcefree.benchmark.free_flight import FreeFlight
from forcefree.reference.summary import kinetic_energies, temperatures
from forcefree.simulation import simulate
from forcefree.simulation.building import build_engine
from forcefree.simulation.engine import Engine
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State
from forcefree.units import BOLTZMANN, KINETIC_UNIT
from oracles import Springs, boxed, boxed_atoms, phantom, phantom_start

OPTIONS = {
    "ensemble": "nve", "temperature": 300.0, "duration": "2 ps", "guards": False, "propagator": "direct", "interval": 10.0, "save_every": 10.0,
    "replicas": 32,
}  # fmt: skip


def test_a_relaxed_start_loses_half_of_its_heat_unless_it_is_equilibrated() -> None:
    drawn = simulate(boxed(), boxed_atoms(), **OPTIONS)
    ready = simulate(boxed(), boxed_atoms(), equilibration="3 ps", thermostat="langevin", thermostat_time=100.0, **OPTIONS)
    cold, right = (np.array([temperatures(run).mean() for run in one.trajectories()]) for one in (drawn, ready))
    assert abs(cold.mean() - 150.0) < 25.0
    assert abs(right.mean() - 300.0) < 40.0


def test_after_equilibration_nothing_acts_on_the_energy() -> None:
    model = boxed()
    for run in simulate(model, boxed_atoms(), equilibration="500 fs", **OPTIONS | {"replicas": 2}).trajectories():
        moved = run.positions - model.reference.numpy()
        stored = 0.5 * np.einsum("tnc,nm,tmc->t", moved, model.hessian.numpy(), moved)
        total = stored + kinetic_energies(run)
        assert total.std() < 1e-6 * total.mean()
        assert kinetic_energies(run).std() > 0.05 * total.mean()


def engine(model: Springs | FreeFlight, start: State, **options: object) -> Engine:
    values = {"duration": 1e5, "temperature": 300.0, "guards": False, "propagator": "direct", "interval": 10.0, **options}
    return build_engine(model, start, SimulationOptions.parse(values, "test"))[0]


def test_an_ideal_gas_forgets_its_velocities_at_the_friction_of_langevin() -> None:
    gas = engine(FreeFlight(phantom().card), phantom_start(400), thermostat="langevin", thermostat_time=40.0, rotation=True)
    first, masses = gas.state.velocities, gas.state.masses[:, None]
    for step in range(1, 9):
        gas.step()
        kept = float((KINETIC_UNIT * masses * first * gas.state.velocities).sum()) / (24.0 * 400.0 * BOLTZMANN * 300.0)
        assert kept == pytest.approx(math.exp(-10.0 * step / 40.0), abs=4.5 / (24.0 * 400.0) ** 0.5)


def test_csvr_turns_no_velocity_of_an_ideal_gas() -> None:
    gas = engine(FreeFlight(phantom().card), phantom_start(5), thermostat_time=20.0, rotation=True)
    first = gas.state.velocities
    for _ in range(6):
        gas.step()
    factor = gas.state.sum(gas.state.velocities * first).sum(dim=1) / gas.state.sum(first * first).sum(dim=1)
    torch.testing.assert_close(gas.state.velocities, factor[gas.state.system, None] * first, rtol=0.0, atol=1e-14)
    assert float((factor - 1.0).abs().max()) > 0.1


def test_every_mode_of_an_oscillator_at_rest_becomes_canonical_under_langevin() -> None:
    """The potential energy of a mode is one half of a chi-square number with three degrees of freedom, in kT."""
    model, replicas = boxed(), 150
    cold = engine(model, State.from_atoms([boxed_atoms()] * replicas), thermostat="langevin", thermostat_time=40.0, interval=20.0)
    for _ in range(30):
        cold.step()
    modes = torch.einsum("mn,rnd->rmd", model.into, cold.state.positions.view(replicas, 9, 3) - model.reference)[:, 1:]
    reduced = KINETIC_UNIT * (model.frequencies[1:, None] * modes).square().sum(dim=2) / (BOLTZMANN * 300.0)
    for column in reduced.T:
        assert stats.kstest(column.numpy(), stats.chi2(3).cdf).pvalue > 1e-4
    assert float(reduced.mean()) == pytest.approx(3.0, abs=4.5 * (6.0 / reduced.numel()) ** 0.5)


@pytest.mark.parametrize("thermostat", ["csvr", "csvr-elements", "langevin"])
def test_a_diatomic_that_does_not_turn_is_canonical_in_its_one_freedom(thermostat: str) -> None:
    model, replicas = Springs([7, 8]), 500
    positions = model.canonical_positions(300.0, replicas)
    start = State.from_atoms([phantom_start().to_atoms()[0][:2]] * replicas).with_(positions=positions)
    start = start.with_(numbers=torch.tensor([7, 8]).repeat(replicas), masses=model.masses.repeat(replicas))
    pair = engine(model, start, thermostat=thermostat, thermostat_time=20.0)
    assert pair.freedom.unique().tolist() == [1.0]
    for _ in range(6):
        pair.step()
    assert stats.kstest((pair.temperatures() / 300.0).numpy(), stats.chi2(1).cdf).pvalue > 1e-4
