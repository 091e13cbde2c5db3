"""Wrong units, wrong times and wrong signs are found from the physics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from forcefree.data.importing.checks import Plausibility, kinetic_temperatures
from forcefree.data.importing.quantities import conversion
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.units import ASE_FEMTOSECOND, BOLTZMANN, KINETIC_UNIT

_PATH = Path("run.xyz")


def _argon(spacing: float = 1.0, temperature: float = 300.0, frames: int = 20) -> Trajectory:
    """Free argon atoms: displacements and velocities agree exactly."""
    rng = np.random.default_rng(0)
    velocity = rng.normal(size=(50, 3)) * np.sqrt(BOLTZMANN * temperature / (KINETIC_UNIT * 39.95))
    velocity -= velocity.mean(axis=0)
    times = spacing * np.arange(frames)
    positions = rng.uniform(0, 30, (50, 3)) + times[:, None, None] * velocity
    velocities = np.broadcast_to(velocity, positions.shape).copy()
    return Trajectory("run", np.full(50, 18), np.full(50, 39.95), times, positions, velocities)


def _verify(trajectory: Trajectory, *, factor: float = 1.0, derived: bool = False, limit: float = 1e4) -> Plausibility:
    checks = Plausibility(_PATH, derived=derived, factor=factor, max_temperature=limit)
    for start in range(0, len(trajectory), 7):
        checks.add(trajectory.frames(start, start + 7))
    checks.verify()
    return checks


def test_the_temperature_is_ases_without_the_motion_of_the_whole() -> None:
    argon = _argon()
    assert argon.velocities is not None
    atoms = Atoms(argon.numbers, masses=argon.masses)
    atoms.set_velocities(argon.velocities[0] / ASE_FEMTOSECOND)
    expected = atoms.get_temperature() * 150 / 147
    moving = replace(argon, velocities=argon.velocities + 0.1)
    np.testing.assert_allclose(kinetic_temperatures(moving), expected, rtol=1e-6)
    with pytest.raises(ForcefreeError, match="no velocities"):
        kinetic_temperatures(replace(argon, velocities=None))


def test_right_velocities_pass_with_slope_one() -> None:
    checks = _verify(_argon())
    assert checks.slope == pytest.approx(1.0)
    assert checks.temperature == pytest.approx(300.0, rel=0.15)


@pytest.mark.parametrize("right", ["A/fs", "A/ps", "nm/ps", "ase", "bohr/aut"])
@pytest.mark.parametrize("wrong", ["A/fs", "A/ps", "nm/ps", "ase", "bohr/aut"])
@pytest.mark.parametrize("spacing", [1.0, 500.0])
def test_the_likely_unit_is_named_with_and_without_displacements(right: str, wrong: str, spacing: float) -> None:
    """Numbers that are in unit ``right`` are read as ``wrong``; 500 fs apart, only the temperature can tell."""
    argon = _argon(spacing)
    factor = conversion(wrong, "velocity")
    misread = replace(argon, velocities=argon.velocities * factor / conversion(right, "velocity"))  # type: ignore[operator]
    temperature = float(kinetic_temperatures(misread).mean())
    if right == wrong or (spacing > 10.0 and 1.0 <= temperature <= 1e4):
        _verify(misread, factor=factor)
        return
    with pytest.raises(ForcefreeError, match=rf"--velocity-unit {right}$"):
        _verify(misread, factor=factor)


def test_a_wrong_time_step_is_named_when_the_temperature_is_right() -> None:
    argon = _argon(0.5)
    with pytest.raises(ForcefreeError, match=r"move 0\.5 times as far .* \(frames 0\.5 instead of 1 fs apart would fit\)"):
        _verify(replace(argon, times=2 * argon.times))


def test_reversed_frames_and_resting_velocities_are_refused() -> None:
    argon = _argon()
    with pytest.raises(ForcefreeError, match="reverse order"):
        _verify(replace(argon, velocities=-argon.velocities))  # type: ignore[operator]
    with pytest.raises(ForcefreeError, match="all zero although its atoms move; use --velocities derive"):
        _verify(replace(argon, velocities=np.zeros_like(argon.positions)))


def test_a_hundred_thousand_kelvin_is_no_temperature_unless_said() -> None:
    hot = _argon(0.1, temperature=1e5)
    with pytest.raises(ForcefreeError, match="no temperature of matter"):
        _verify(hot)
    assert _verify(hot, limit=2e5).temperature == pytest.approx(1e5, rel=0.15)


def test_a_cold_but_consistent_trajectory_is_believed() -> None:
    assert _verify(_argon(temperature=0.05)).temperature == pytest.approx(0.05, rel=0.15)


def test_derived_velocities_are_judged_by_temperature_and_resolution() -> None:
    with pytest.raises(ForcefreeError, match=r"central differences give 1e\+06 K; check --timestep|central differences give .* K; check"):
        _verify(_argon(temperature=1e6), derived=True)
    assert _verify(_argon(), derived=True).loss == pytest.approx(0.0, abs=1e-9)
    shaken = replace(_argon(), positions=np.random.default_rng(1).normal(scale=0.005, size=(20, 50, 3)))
    with pytest.raises(ForcefreeError, match="too far apart"):
        Plausibility(_PATH, derived=True, factor=1.0, max_temperature=1e4).add(shaken)
        _verify(shaken, derived=True)


def test_a_single_atom_and_a_single_frame_can_be_judged() -> None:
    argon = _argon()
    assert argon.velocities is not None
    one = Trajectory("one", argon.numbers[:1], argon.masses[:1], argon.times, argon.positions[:, :1], argon.velocities[:, :1])
    assert _verify(one).slope == pytest.approx(1.0)
    assert _verify(argon.frames(0, 1)).slope is None
