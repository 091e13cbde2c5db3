"""A thermostat at the beginning only."""

from __future__ import annotations

import numpy as np

from forcefree.reference.summary import kinetic_energies, temperatures
from forcefree.simulation import simulate
from oracles import boxed, boxed_atoms

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
