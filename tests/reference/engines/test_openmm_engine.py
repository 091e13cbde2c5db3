"""OpenMM as a reference: right energies, right dynamics, and nothing lost at an interruption."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.io import read
from ase.md.verlet import VelocityVerlet

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig, ReferenceConfig
from forcefree.reference.engines.choice import build_engine
from forcefree.reference.engines.openmm_library import load_openmm
from forcefree.reference.run import all_runs, record
from forcefree.reference.summary import energy_drift, kinetic_energies, temperatures

RunOf = Callable[..., Trajectory]
Configure = Callable[..., ReferenceConfig]
openmm = pytest.importorskip("openmm")

EPSILON, SIGMA = 0.0104, 3.4
PDB = Path(__file__).parents[3] / "examples" / "materials" / "alanine-dipeptide.pdb"
AMBER: dict[str, Any] = {"name": "openmm", "options": {"topology": str(PDB), "force_field": ["amber14/protein.ff14SB.xml"]}}


@pytest.fixture
def argon(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A calculator whose system OpenMM has written: Lennard-Jones atoms, switched off before the cutoff."""

    def make(atoms: Atoms) -> dict[str, Any]:
        system, force = openmm.System(), openmm.NonbondedForce()
        for _ in range(len(atoms)):
            system.addParticle(1.0)
            force.addParticle(0.0, SIGMA / 10.0, EPSILON * units.mol / units.kJ)
        if atoms.pbc.all():
            force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
            force.setCutoffDistance(0.65)
            force.setUseSwitchingFunction(True)
            force.setSwitchingDistance(0.5)
            force.setUseDispersionCorrection(False)
        system.addForce(force)
        (tmp_path / "argon.xml").write_text(openmm.XmlSerializer.serialize(system))
        return {"name": "openmm", "options": {"system": str(tmp_path / "argon.xml"), "theory": "argon"}}

    return make


@pytest.mark.parametrize("distance", [3.3, 3.4 * 2 ** (1 / 6), 5.0])
def test_a_pair_has_the_energy_and_force_of_the_formula(argon: Callable[..., dict[str, Any]], distance: float) -> None:
    arm = np.array([0.3, 0.4, np.sqrt(0.75)])
    pair = Atoms("Ar2", [np.zeros(3), distance * arm])
    pair.calc = build_calculator(CalculatorConfig.model_validate(argon(pair)))
    sixth = (SIGMA / distance) ** 6
    assert pair.get_potential_energy() == pytest.approx(4.0 * EPSILON * (sixth**2 - sixth), abs=1e-8)
    push = 24.0 * EPSILON * (2.0 * sixth**2 - sixth) / distance
    np.testing.assert_allclose(pair.get_forces(), [-push * arm, push * arm], atol=1e-8)


def test_forces_are_gradients() -> None:
    peptide = read(PDB)
    peptide.rattle(0.03, seed=1)
    peptide.calc = build_calculator(CalculatorConfig.model_validate(AMBER))
    forces = peptide.get_forces()
    for atom, axis in ((0, 0), (8, 1), (21, 2)):
        energies = []
        for step in (1e-4, -1e-4):
            moved = peptide.copy()
            moved.positions[atom, axis] += step
            moved.calc = peptide.calc
            energies.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / 2e-4, abs=1e-5)


def test_a_left_handed_triclinic_cell_gives_the_forces_that_ase_finds(argon: Callable[..., dict[str, Any]], fluid: Atoms) -> None:
    fluid.calc = build_calculator(CalculatorConfig.model_validate(argon(fluid)))
    forces = fluid.get_forces()
    for atom, axis in ((7, 0), (40, 1)):
        energies = []
        for step in (1e-4, -1e-4):
            moved = fluid.copy()
            moved.positions[atom, axis] += step
            moved.calc = fluid.calc
            energies.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / 2e-4, abs=1e-7)
    shorter = build_calculator(CalculatorConfig(name="lennard-jones", options={"sigma": SIGMA, "epsilon": EPSILON, "rc": 6.5, "ro": 5.0}))
    assert fluid.get_potential_energy() == pytest.approx(shorter.get_potential_energy(fluid), rel=0.02)


def test_the_dynamics_is_velocity_verlet(configure: Configure) -> None:
    peptide = read(PDB)
    config = configure(AMBER, peptide, timestep=0.5, recording={"duration": 10.0, "every": 10.0})
    engine = build_engine(config, peptide)
    velocities = np.random.default_rng(3).normal(size=(22, 3)) * 0.005
    engine.place(peptide.positions, velocities)
    engine.begin(300.0, np.random.default_rng(0))
    engine.advance()
    peptide.calc = build_calculator(config.calculator)
    peptide.set_velocities(velocities / units.fs)
    VelocityVerlet(peptide, 0.5 * units.fs).run(20)
    frame = engine.frame()
    np.testing.assert_allclose(frame.positions, peptide.positions, atol=1e-6)
    np.testing.assert_allclose(frame.velocities, peptide.get_velocities() * units.fs, atol=1e-7)


def test_nve_conserves_energy_and_momentum_at_the_temperature_it_was_equilibrated_to(run_of: RunOf) -> None:
    changes: dict[str, Any] = {"timestep": 0.5, "temperatures": [300], "minimize": True, "recording": {"duration": 500.0, "every": 2.0}}
    run = run_of(AMBER, read(PDB), **changes)
    assert run.energies is not None
    assert run.velocities is not None
    kinetic = kinetic_energies(run)
    assert (run.energies + kinetic).std() < 0.02 * kinetic.std()
    drift = energy_drift(run)
    assert drift is not None
    assert abs(drift) < 1.0
    np.testing.assert_allclose(np.einsum("a,fax->fx", run.masses, run.velocities), 0.0, atol=1e-9)
    assert temperatures(run).mean() == pytest.approx(300.0, rel=4.0 * np.sqrt(2.0 / 63.0))


@pytest.mark.parametrize("rotation", [True, False])
def test_nvt_samples_the_canonical_temperature_and_its_fluctuations(run_of: RunOf, rotation: bool) -> None:
    recording = {"ensemble": "nvt", "duration": 20000.0, "every": 20.0, "thermostat_time": 20.0, "forces": False}
    changes = {"timestep": 1.0, "temperatures": [300], "rotation": rotation, "minimize": True, "recording": recording}
    measured = temperatures(run_of(AMBER, read(PDB), **changes))
    freedom = 63 if rotation else 60
    assert measured.mean() == pytest.approx(300.0, abs=4.0 * 300.0 * np.sqrt(2.0 / freedom / 500.0))
    assert measured.var() == pytest.approx(2.0 * 300.0**2 / freedom, rel=0.35)


def test_atoms_that_cross_the_boundary_are_recorded_unwrapped(argon: Callable[..., dict[str, Any]], fluid: Atoms, run_of: RunOf) -> None:
    run = run_of(argon(fluid), fluid, temperatures=[300], recording={"duration": 200.0, "every": 4.0})
    assert run.velocities is not None
    np.testing.assert_allclose(run.velocities[1:-1], (run.positions[2:] - run.positions[:-2]) / 8.0, atol=1e-6)
    places = np.floor(run.positions @ np.linalg.inv(run.cell))
    assert (places != places[0]).any()


@pytest.mark.parametrize(("ensemble", "platform"), [("nve", "Reference"), ("nvt", "Reference"), ("nvt", "CPU")])
def test_a_run_cut_at_a_checkpoint_ends_bit_for_bit_like_one_that_was_not(
    configure: Configure, tmp_path: Path, ensemble: str, platform: str, same: Callable[..., bool]
) -> None:
    calculator = {**AMBER, "options": {**AMBER["options"], "platform": platform}}
    recording = {"ensemble": ensemble, "duration": 520.0, "every": 1.0}
    changes: dict[str, Any] = {"timestep": 0.5, "equilibration": {"duration": 100.0}, "recording": recording}
    run = all_runs(configure(calculator, read(PDB), **changes))[0]
    part, copy = tmp_path / "whole.h5", tmp_path / "killed.h5"
    for count, _ in enumerate(record(run, part)):
        if count == 0:
            shutil.copy(part, copy)
            shutil.copy(part.with_suffix(".frames"), copy.with_suffix(".frames"))
    assert list(record(run, copy)) == [500, 521]
    assert same(next(read_store(copy)), next(read_store(part)))


def test_what_does_not_fit_is_a_sentence(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match="the OpenMM system has 22 particles, but the structure has 3 atoms"):
        build_engine(configure(AMBER, molecule("H2O")), molecule("H2O"))
    swapped = read(PDB)
    swapped.numbers[[0, 1]] = swapped.numbers[[1, 0]]
    with pytest.raises(ForcefreeError, match=r"atom 0 is C in .*alanine-dipeptide.pdb, but H in the start structure"):
        build_engine(configure(AMBER, swapped), swapped)
    with pytest.raises(ForcefreeError, match="give either system, or topology and force_field"):
        build_calculator(CalculatorConfig(name="openmm", options={"topology": str(PDB)}))
    unknown = {"name": "openmm", "options": {**AMBER["options"], "force_field": ["tip3p.xml"]}}
    with pytest.raises(ForcefreeError, match=r"OpenMM cannot build the system of .*: No template found"):
        build_engine(configure(unknown, read(PDB)), read(PDB))
    stiff = openmm.System()
    stiff.addParticle(1.0)
    stiff.addParticle(1.0)
    stiff.addConstraint(0, 1, 0.1)
    (tmp_path / "stiff.xml").write_text(openmm.XmlSerializer.serialize(stiff))
    with pytest.raises(ForcefreeError, match="has 1 constraints or virtual sites"):
        build_engine(configure({"name": "openmm", "options": {"system": str(tmp_path / "stiff.xml")}}, molecule("N2")), molecule("N2"))


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openmm", None)
    with pytest.raises(ForcefreeError, match=r"needs the package openmm; install it with: pip install 'forcefree\[openmm\]'"):
        load_openmm()


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_dynamics_that_runs_away_asks_for_a_shorter_step(run_of: RunOf, platform: str) -> None:
    calculator = {**AMBER, "options": {**AMBER["options"], "platform": platform}}
    with pytest.raises(ForcefreeError, match=r"run_0000 at 300 K ran away \(.*\); use a time step shorter than 15 fs"):
        run_of(calculator, read(PDB), timestep=15.0, temperatures=[300], recording={"duration": 300.0, "every": 150.0})
