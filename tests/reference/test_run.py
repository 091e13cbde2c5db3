"""One run: its physics, and that an interruption leaves no trace."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.io import write

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.nn.conservation import angular_momentum
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig, ReferenceConfig
from forcefree.reference.run import all_runs, record
from forcefree.reference.summary import energy_drift, kinetic_energies, temperatures
from forcefree.state import State

MakeConfig = Callable[..., ReferenceConfig]
Recorded = Callable[..., Trajectory]
GFN2: dict[str, Any] = {"calculator": {"name": "gfn2-xtb"}, "start": {"name": "water"}}


def _angular_momenta(trajectory: Trajectory, start: str) -> torch.Tensor:
    assert trajectory.velocities is not None
    state = State.from_atoms([molecule(start)])
    return angular_momentum(state, torch.tensor(trajectory.positions), torch.tensor(trajectory.velocities))[:, 0]


def test_nve_conserves_energy_to_second_order_in_the_time_step(make_config: MakeConfig, recorded: Recorded) -> None:
    spread = {}
    for timestep in (1.0, 0.5):
        run = recorded(make_config(**GFN2, timestep=timestep, equilibration={"duration": 50.0}, temperatures=[400]))
        assert run.energies is not None
        total = run.energies + kinetic_energies(run)
        spread[timestep] = total.std() / kinetic_energies(run).std()
        drift = energy_drift(run)
        assert drift is not None
        assert abs(drift) < 5.0
    assert spread[0.5] < 0.05
    assert 2.0 < spread[1.0] / spread[0.5] < 8.0


def test_frames_are_consistent_with_each_other_and_with_the_potential(make_config: MakeConfig, recorded: Recorded) -> None:
    run = recorded(make_config(**GFN2, recording={"duration": 20.0, "every": 0.5}))
    assert run.velocities is not None
    assert run.forces is not None
    assert run.energies is not None
    np.testing.assert_allclose(run.velocities[1:-1], (run.positions[2:] - run.positions[:-2]) / 1.0, atol=1e-8)
    calculator = build_calculator(CalculatorConfig.model_validate(run.provenance["calculator"]))
    for frame, atom, axis in ((0, 0, 2), (17, 1, 1)):
        energies = []
        for step in (1e-4, -1e-4):
            atoms = molecule("H2O")
            atoms.positions = run.positions[frame]
            atoms.positions[atom, axis] += step
            atoms.calc = calculator
            energies.append(atoms.get_potential_energy())
        assert run.forces[frame, atom, axis] == pytest.approx(-(energies[0] - energies[1]) / 2e-4, abs=2e-3)
        assert np.mean(energies) == pytest.approx(run.energies[frame], abs=1e-5)


@pytest.mark.parametrize(("rotation", "freedom"), [(False, 9), (True, 12)])
def test_nvt_samples_the_canonical_temperature_and_its_fluctuations(
    make_config: MakeConfig, recorded: Recorded, rotation: bool, freedom: int
) -> None:
    recording = {"ensemble": "nvt", "duration": 6000.0, "every": 4.0, "thermostat_time": 10.0, "forces": False}
    run = recorded(make_config(timestep=2.0, recording=recording, rotation=rotation))
    measured = temperatures(run)
    error = 300.0 * np.sqrt(2.0 / freedom / (6000.0 / 20.0))
    assert measured.mean() == pytest.approx(300.0, abs=4.0 * error)
    assert measured.var() == pytest.approx(2.0 * 300.0**2 / freedom, rel=0.35)
    momenta = _angular_momenta(run, "CH4")
    assert (float(momenta.abs().max()) < 1e-8) is not rotation


def test_langevin_brings_independent_runs_to_their_temperature(make_config: MakeConfig, recorded: Recorded) -> None:
    config = make_config(
        temperatures=[150, 600],
        runs_per_temperature=20,
        equilibration={"duration": 120.0, "friction_time": 15.0},
        recording={"duration": 1.0, "every": 1.0},
        timestep=1.0,
        minimize=False,
    )
    runs = [recorded(config, index) for index in range(40)]
    for target, group in ((150.0, runs[:20]), (600.0, runs[20:])):
        kinetic = np.array([temperatures(run)[0] for run in group])
        assert kinetic.mean() == pytest.approx(target, rel=4.0 * np.sqrt(2.0 / 12.0 / 20.0))
    for run in runs:
        assert run.velocities is not None
        np.testing.assert_allclose(np.einsum("a,fax->fx", run.masses, run.velocities), 0.0, atol=1e-12)
        assert float(_angular_momenta(run, "CH4")[0].norm()) > 1e-3


def test_a_linear_molecule_loses_its_rotation_and_nothing_else(make_config: MakeConfig, recorded: Recorded) -> None:
    run = recorded(make_config(start={"name": "N2"}, rotation=False, calculator={"name": "springs:Springs", "options": {"length": 1.1}}))
    assert float(_angular_momenta(run, "N2").abs().max()) < 1e-8
    assert kinetic_energies(run).max() > 1e-3


def test_runs_differ_by_seed_and_index_and_by_nothing_else(make_config: MakeConfig, recorded: Recorded, same: Callable[..., bool]) -> None:
    short = {"duration": 5.0, "every": 1.0}
    config = make_config(runs_per_temperature=2, recording=short)
    assert same(recorded(config, 1), recorded(config, 1))
    assert not np.array_equal(recorded(config, 0).positions, recorded(config, 1).positions)
    other_seed = make_config(runs_per_temperature=2, recording=short, seed=4)
    assert not np.array_equal(recorded(config, 1).positions, recorded(other_seed, 1).positions)
    more_runs = make_config(runs_per_temperature=7, recording=short)
    assert same(recorded(config, 1), recorded(more_runs, 1))


@pytest.mark.parametrize("ensemble", ["nve", "nvt"])
@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_run_cut_at_a_checkpoint_ends_bit_for_bit_like_one_that_was_not(
    make_config: MakeConfig, recorded: Recorded, same: Callable[..., bool], tmp_path: Path, ensemble: str, killed_after: int
) -> None:
    config = make_config(
        calculator={"name": "springs:Springs", "options": {"memory": 0.01}},
        recording={"ensemble": ensemble, "duration": 600.0, "every": 1.0},
        timestep=1.0,
    )
    part, copy = tmp_path / "whole.h5", tmp_path / "killed.h5"
    for count, _ in enumerate(record(all_runs(config)[0], part), start=1):
        if count == killed_after:
            shutil.copy(part, copy)
            shutil.copy(part.with_suffix(".frames"), copy.with_suffix(".frames"))
    assert list(record(all_runs(config)[0], copy)) == [250 * (killed_after + 1), 601][killed_after - 1 :]
    assert same(next(read_store(copy)), next(read_store(part)))


def test_a_continued_run_keeps_the_charge_of_its_start(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(**{**GFN2, "start": {"smiles": "[NH4+]"}}, timestep=1.0, recording={"duration": 400.0, "every": 1.0})
    run = _continued_once(config, tmp_path)
    assert run.energies is not None
    assert run.provenance["charge"] == 1.0
    assert abs(run.energies[250:].mean() - run.energies[:250].mean()) < 0.5


def test_a_continued_run_keeps_the_isotopes_of_its_start(make_config: MakeConfig, tmp_path: Path) -> None:
    start = molecule("H2O")
    start.set_masses([15.999, 2.014, 2.014])
    write(tmp_path / "start.traj", start)
    run = _continued_once(make_config(start={"file": tmp_path / "start.traj"}, timestep=1.0), tmp_path)
    np.testing.assert_array_equal(run.masses, start.get_masses())
    total = run.energies + kinetic_energies(run)
    assert np.ptp(total) < 0.05 * kinetic_energies(run).max()


def _continued_once(config: ReferenceConfig, tmp_path: Path) -> Trajectory:
    part = tmp_path / "part.h5"
    runner = record(all_runs(config)[0], part)
    next(runner)
    runner.close()
    assert list(record(all_runs(config)[0], part)) == [config.frames_per_run]
    return next(read_store(part))


def _boxed(width: float) -> Atoms:
    return molecule("CH4", cell=[width, width, width], pbc=True)


def _charged(charge: float) -> Atoms:
    return molecule("CH4", charges=[charge, 0.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (molecule("CH4"), molecule("H2O")),
        (molecule("CH4"), molecule("CH4", masses=[13.003, 1.008, 1.008, 1.008, 1.008])),
        (molecule("CH4"), _boxed(9.0)),
        (_boxed(9.0), _boxed(9.1)),
        (_charged(0.0), _charged(1.0)),
    ],
    ids=["atoms", "isotopes", "periodicity", "density", "charge"],
)
def test_another_start_structure_is_not_mixed_in(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: Atoms, after: Atoms
) -> None:
    for module in ("run", "checkpoint"):
        monkeypatch.setattr(f"forcefree.reference.{module}.FRAMES_PER_CHECKPOINT", 10)
    write(tmp_path / "start.traj", before)
    config = make_config(start={"file": tmp_path / "start.traj"}, timestep=1.0, minimize=False)
    part = tmp_path / "part.h5"
    runner = record(all_runs(config)[0], part)
    next(runner)
    runner.close()
    write(tmp_path / "start.traj", after)
    with pytest.raises(ForcefreeError, match="the start structure is not the one that"):
        list(record(all_runs(config)[0], part))


def test_a_calculator_that_fails_ends_in_a_sentence_and_keeps_what_was_written(make_config: MakeConfig, tmp_path: Path) -> None:
    calculator = {"name": "springs:Springs", "options": {"raise_after": 251}}
    config = make_config(calculator=calculator, recording={"duration": 600.0, "every": 1.0}, timestep=1.0, minimize=False)
    part = tmp_path / "part.h5"
    sentence = "run_0000 failed at 300 K after 250 frames of methane: the reference calculator raised RuntimeError: self-consistency was not reached"
    with pytest.raises(ForcefreeError, match=sentence):
        list(record(all_runs(config)[0], part))
    assert len(next(read_store(part))) == 250


def test_wrong_elements_and_wrong_units_end_in_a_sentence(make_config: MakeConfig, tmp_path: Path) -> None:
    argon = make_config(calculator={"name": "emt"}, start={"name": "SiH4"})
    with pytest.raises(ForcefreeError, match=r"failed while SiH4 was equilibrated at 300 K: .*Si"):
        list(record(all_runs(argon)[0], tmp_path / "a.h5"))
    stiff = make_config(
        calculator={"name": "springs:Springs", "options": {"stiffness": 5e4}}, timestep=2.0, recording={"duration": 300.0, "every": 2.0}
    )
    with pytest.raises(ForcefreeError, match=r"ran away .*use a time step shorter than 2 fs"):
        list(record(all_runs(stiff)[0], tmp_path / "b.h5"))
