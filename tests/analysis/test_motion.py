"""What a run conserves is read off its frames; temperatures and vibrations follow from that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from forcefree.analysis.motion import conserved_by, run_temperatures, vibrational_velocities
from forcefree.data.trajectory import Trajectory
from forcefree.units import BOLTZMANN, KINETIC_UNIT
from networks import MASSES


def _free_spin(run: Trajectory) -> Trajectory:
    """The run seen from a frame that turns at 0.01 rad/fs about z through the centre of mass."""
    axis = np.array([0.0, 0.0, 0.01])
    turns = Rotation.from_rotvec(run.times[:, None] * axis).inv().as_matrix()
    centre = (MASSES @ run.positions[0]) / MASSES.sum()
    positions = (run.positions - centre) @ turns
    return replace(run, positions=positions, velocities=run.velocities @ turns + np.cross(axis, positions))


def test_what_is_conserved(thermostatted: list[Trajectory]) -> None:
    run = thermostatted[0]
    assert conserved_by([run]) == "momentum and rotation"
    assert conserved_by([replace(run, velocities=run.velocities + 0.05)]) == "momentum and rotation"
    assert conserved_by([_free_spin(run)]) == "momentum"
    kicked = run.velocities + 0.01 * np.random.default_rng(0).normal(size=(len(run), 1, 3))
    assert conserved_by([replace(run, velocities=kicked)]) == "nothing"
    assert conserved_by([run, _free_spin(run)]) == "momentum"


@pytest.mark.parametrize("atoms", [10, 3000])
def test_a_langevin_thermostat_is_told_from_rounding_whatever_the_size(atoms: int) -> None:
    """The thermal motion of the centre of mass is one part in n_atoms of the kinetic energy, and still it is seen."""
    rng = np.random.default_rng(0)
    positions = np.repeat(rng.normal(size=(1, atoms, 3)), 80, axis=0)
    free = rng.normal(size=(80, atoms, 3))
    run = Trajectory(
        "r", np.ones(atoms, dtype=np.int64), np.ones(atoms), np.arange(80.0), positions, free, pbc=np.ones(3, dtype=bool), cell=np.eye(3)
    )
    assert conserved_by([run]) == "nothing"
    rounded = np.float32(free - free.mean(axis=1, keepdims=True)).astype(float)
    assert conserved_by([replace(run, velocities=rounded)]) == "momentum"


def test_periodic_systems_have_no_rotation_to_conserve(thermostatted: list[Trajectory]) -> None:
    assert conserved_by([replace(thermostatted[0], cell=20.0 * np.eye(3), pbc=np.ones(3, dtype=bool))]) == "momentum"


def test_temperatures_of_canonical_velocities(thermostatted: list[Trajectory]) -> None:
    found = [run_temperatures(run, "momentum and rotation") for run in thermostatted]
    for name in ("all", "H", "O"):
        values = [one[name] for one in found]
        error = np.std(values) / np.sqrt(len(values))
        assert np.mean(values) == pytest.approx(300.0, abs=4.0 * error)
        assert error < 30.0


def test_the_overall_temperature_is_twice_the_kinetic_energy_per_freedom(thermostatted: list[Trajectory]) -> None:
    run = thermostatted[0].frames(0, 20)
    kinetic = 0.5 * KINETIC_UNIT * (MASSES[:, None] * run.velocities**2).sum(axis=(1, 2)).mean()
    assert run_temperatures(run, "momentum and rotation")["all"] == pytest.approx(2.0 * kinetic / (6 * BOLTZMANN))


def test_vibrational_velocities_do_not_know_of_drift_and_rotation(thermostatted: list[Trajectory]) -> None:
    run = thermostatted[0].frames(0, 200)
    target = run.positions[0]
    plain = vibrational_velocities(run, target)
    spun = _free_spin(run)
    moving = replace(spun, velocities=spun.velocities + 0.3, positions=spun.positions + 7.0)
    np.testing.assert_allclose(vibrational_velocities(moving, target), plain, atol=1e-10)
    power = [(MASSES[:, None] * v**2).sum() for v in (plain, run.velocities)]
    assert power[0] == pytest.approx(power[1], rel=1e-9)


def test_periodic_velocities_only_lose_their_drift(thermostatted: list[Trajectory]) -> None:
    run = replace(thermostatted[0].frames(0, 50), cell=20.0 * np.eye(3), pbc=np.ones(3, dtype=bool))
    moving = replace(run, velocities=run.velocities + 0.2)
    np.testing.assert_allclose(vibrational_velocities(moving, run.positions[0]), run.velocities, atol=1e-12)


def test_a_diatomic_molecule_vibrates_along_its_bond_alone() -> None:
    """Of any velocities, what is left is the relative one along the bond, shared in the inverse ratio of the masses."""
    rng = np.random.default_rng(6)
    masses, bond = np.array([1.008, 34.969]), np.array([0.6, 0.0, 0.8])
    positions, velocities = np.stack([np.zeros((30, 3)), np.broadcast_to(1.3 * bond, (30, 3))], axis=1), rng.normal(size=(30, 2, 3))
    run = Trajectory("r", np.array([1, 17]), masses, np.arange(30.0), positions, velocities)
    along = ((velocities[:, 1] - velocities[:, 0]) @ bond)[:, None] * bond
    expected = np.stack([-masses[1] * along, masses[0] * along], axis=1) / masses.sum()
    np.testing.assert_allclose(vibrational_velocities(run, positions[0]), expected, atol=1e-12)


def test_a_lone_atom_under_a_thermostat_has_three_degrees_of_freedom() -> None:
    velocities = 0.01 * np.random.default_rng(7).normal(size=(50, 1, 3))
    run = Trajectory("r", np.array([18]), np.array([39.948]), np.arange(50.0), np.zeros((50, 1, 3)), velocities)
    assert conserved_by([run]) == "nothing"
    expected = 39.948 * KINETIC_UNIT * (velocities**2).sum(axis=2).mean() / (3.0 * BOLTZMANN)
    assert run_temperatures(run, "nothing") == pytest.approx({"all": expected, "Ar": expected})
