"""The ASE dynamics class: the engine's steps, ASE's manners."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.constraints import FixAtoms
from ase.io import read
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.files import save_model
from forcefree.models.forecaster import Forecaster
from forcefree.simulation import ForecastDynamics
from forcefree.simulation.building import build_engine
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State
from forcefree.units import ASE_FEMTOSECOND
from oracles import boxed, boxed_atoms, phantom, phantom_start

FAST = {"propagator": "direct", "interval": 10.0}


def _warm(seed: int = 0) -> Atoms:
    atoms = boxed_atoms()
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(seed))
    return atoms


def _total_energy(atoms: Atoms) -> float:
    return atoms.get_kinetic_energy() + float(boxed().potential_energy(State.from_atoms([atoms]))[0])


@pytest.mark.parametrize("thermostat", ["csvr", "csvr-elements", "langevin"])
def test_it_is_the_engine_to_the_last_bit(thermostat: str) -> None:
    options = {"ensemble": "nvt", "temperature": 300.0, "thermostat": thermostat, "thermostat_time": 50.0, **FAST}
    atoms = boxed_atoms()
    engine, _ = build_engine(boxed(), State.from_atoms([boxed_atoms()]), SimulationOptions(duration=1.0, **options))

    dynamics = ForecastDynamics(atoms, boxed(), **options)
    dynamics.run(40)
    for _ in range(40):
        engine.step()

    np.testing.assert_array_equal(atoms.positions, engine.state.positions.numpy())
    np.testing.assert_allclose(atoms.get_velocities() * ASE_FEMTOSECOND, engine.state.velocities.numpy(), rtol=1e-14)


def test_nve_from_the_velocities_of_the_atoms_keeps_the_energy() -> None:
    atoms = _warm()
    before, momentum = _total_energy(atoms), atoms.get_momenta().sum(axis=0)

    dynamics = ForecastDynamics(atoms, boxed(), **FAST)
    dynamics.run(100)

    assert _total_energy(atoms) == pytest.approx(before, rel=1e-11)
    np.testing.assert_allclose(atoms.get_momenta().sum(axis=0), momentum, atol=1e-12)
    assert dynamics.get_time() == pytest.approx(1000.0 * units.fs)
    assert atoms.calc is None


def test_observers_are_called_as_in_every_ase_dynamics() -> None:
    atoms = _warm()
    seen: list[int] = []

    dynamics = ForecastDynamics(atoms, boxed(), **FAST)
    dynamics.attach(lambda: seen.append(dynamics.nsteps), interval=5)
    dynamics.run(10)
    dynamics.run(10)

    assert seen == [0, 5, 10, 15, 20]


def test_irun_yields_after_every_step() -> None:
    dynamics = ForecastDynamics(_warm(), boxed(), **FAST)

    assert list(dynamics.irun(3)) == [False, False, False, True]


def test_what_an_observer_changes_is_where_the_dynamics_goes_on() -> None:
    atoms, copy = _warm(), _warm()
    dynamics = ForecastDynamics(atoms, boxed(), **FAST)
    dynamics.run(5)

    copy.positions, reversed_velocities = atoms.positions.copy(), -atoms.get_velocities()
    atoms.set_velocities(reversed_velocities)
    dynamics.run(5)

    np.testing.assert_allclose(atoms.positions, _warm().positions, atol=1e-9)
    np.testing.assert_allclose(-atoms.get_velocities(), _warm().get_velocities(), atol=1e-9)


def test_trajectory_and_log_are_written(tmp_path: Path) -> None:
    atoms, log = _warm(), io.StringIO()

    dynamics = ForecastDynamics(atoms, boxed(), trajectory=str(tmp_path / "t.traj"), logfile=log, loginterval=2, **FAST)
    dynamics.run(6)

    frames = read(tmp_path / "t.traj", ":")
    assert len(frames) == 4
    np.testing.assert_allclose(frames[-1].positions, atoms.positions)
    header, *rows = log.getvalue().splitlines()
    assert header.split() == ["Time[ps]", "Ekin[eV]", "T[K]"]
    assert [float(row.split()[0]) for row in rows] == [0.0, 0.02, 0.04, 0.06]
    with pytest.raises((RuntimeError, PropertyNotImplementedError)):
        atoms.get_potential_energy()


def test_atoms_without_velocities_are_warmed_to_the_temperature() -> None:
    atoms = boxed_atoms()

    ForecastDynamics(atoms, boxed(), temperature=300.0, **FAST)

    assert 30.0 < atoms.get_temperature() < 1500.0
    np.testing.assert_allclose(atoms.get_momenta().sum(axis=0), 0.0, atol=1e-12)


def test_a_model_file_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(phantom(), tmp_path / "m.safetensors")
    monkeypatch.setattr("forcefree.models.files.build_model", lambda card: phantom())
    [atoms] = phantom_start().to_atoms()

    dynamics = ForecastDynamics(atoms, tmp_path / "m.safetensors", temperature=300.0, guards=False)

    assert dynamics.todict()["propagator"] == {"name": "reversible", "interval": 20.0, "corrections": 1}


def test_a_guard_stops_the_dynamics_at_the_last_good_state() -> None:
    class LosesAll(Forecaster):
        def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
            positions, velocities = boxed().departures(history, times)
            return (positions * torch.nan if float(history[-1].time[0]) >= 30.0 else positions), velocities

    atoms = _warm()
    dynamics = ForecastDynamics(atoms, LosesAll(boxed().card), **FAST)

    with pytest.raises(ForcefreeError, match="replica 0 was stopped after 30 fs because"):
        dynamics.run(10)
    assert np.isfinite(atoms.positions).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "the start has no velocities; give a temperature"),
        ({"replicas": 3, "temperature": 300.0}, "moves one structure, not 3 replicas"),
        ({"ensemble": "nvt"}, "ForecastDynamics: the top level: ensemble nvt needs a temperature"),
        ({"equilibration": "5 ps", "save_every": 10.0, "temperature": 300.0}, "no use for equilibration and save_every; give run"),
        ({"duration": 100.0, "temperature": 300.0}, "no use for duration; give run"),
        ({"log_every": 100.0, "temperature": 300.0}, "no use for log_every; give run"),
        ({"thermostat": "langevin", "temperature": 300.0}, "no use for thermostat in nve; add ensemble='nvt'"),
        ({"bootstrap": "reference", "temperature": 300.0}, r"starts from one frame, so bootstrap \(reference\) has nothing to make"),
        ({"timestep": 0.5, "temperature": 300.0}, "timestep: is not an option here"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        ForecastDynamics(boxed_atoms(), boxed(), **options)


def test_constraints_are_refused_whenever_they_are_set() -> None:
    fixed, later = _warm(), _warm()
    fixed.set_constraint(FixAtoms([0]))
    with pytest.raises(ForcefreeError, match=r"the atoms have constraints \(FixAtoms.*\); every atom moves freely here, so remove them"):
        ForecastDynamics(fixed, boxed(), **FAST)

    dynamics = ForecastDynamics(later, boxed(), **FAST)
    dynamics.run(1)
    later.set_constraint(FixAtoms([0]))
    with pytest.raises(ForcefreeError, match="the atoms have constraints"):
        dynamics.run(1)
