"""The estimated drift of the total energy: what the dynamics adds, and nothing that others do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import units

from forcefree.simulation.ase_adapter import ForecastDynamics
from oracles import phantom, phantom_start
from sloppy import FREEDOM, changes, engine, sloppy


@pytest.mark.parametrize("ensemble", ["nve", "nvt"])
def test_the_monitor_sees_what_the_dynamics_adds_and_not_the_thermostat(ensemble: str) -> None:
    thermostat = {"thermostat_time": 50.0} if ensemble == "nvt" else {}
    for gain in (0.0, 2e-6):
        run = engine(sloppy(gain=gain), ensemble=ensemble, replicas=4, **thermostat)
        begin = run.state
        for _ in range(40):
            run.step()
        found = run.drift()
        assert found is not None
        potential, drift = found
        torch.testing.assert_close(potential, sloppy().potential_energy(run.state))
        if gain == 0.0:
            assert float(drift.abs().max()) < 1e-10
            continue
        assert float(drift.abs().min()) > 1e-3
        if ensemble == "nve":
            torch.testing.assert_close(1000.0 * drift, FREEDOM * changes(sloppy(), begin, run.state))
        else:
            assert float((1000.0 * drift - FREEDOM * changes(sloppy(), begin, run.state)).abs().min()) > 1.0
        assert run.drift_rates()[2] == pytest.approx(1e6 * float(drift[2]) / 9 / 320.0)


def test_a_stopped_replica_adds_nothing_and_is_not_told_about() -> None:
    run = engine(sloppy(), replicas=3)
    run.step()
    run.running[1] = False
    before = run.monitor.memory()["energy_gained"].clone()
    run.step()
    after = run.monitor.memory()["energy_gained"]
    assert (before == after).tolist() == [False, True, False]
    assert list(run.drift_rates()) == [0, 2]


def test_a_model_without_a_head_has_no_drift() -> None:
    run = engine(phantom())
    run.step()
    assert run.drift() is None
    assert run.drift_rates() == {}


def test_what_another_program_does_between_steps_is_no_drift() -> None:
    [atoms] = phantom_start().to_atoms()
    generator = np.random.default_rng(0)
    atoms.set_velocities(0.01 * generator.normal(size=(9, 3)) / units.fs)
    dynamics = ForecastDynamics(atoms, sloppy(gain=0.0), propagator="direct", interval=8.0, guards=False, rotation=True)
    dynamics.run(3)
    atoms.positions += 0.1 * generator.normal(size=(9, 3))
    atoms.set_velocities(2.0 * atoms.get_velocities())
    dynamics.run(3)
    found = dynamics.engine.drift()
    assert found is not None
    assert float(found[1].abs().max()) < 1e-9
