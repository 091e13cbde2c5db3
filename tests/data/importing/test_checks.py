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
@pytest.mark.parametrize("resolved", [True, False])
def test_the_likely_unit_is_named_with_and_without_displacements(right: str, wrong: str, resolved: bool) -> None:
    """Numbers that are in unit ``right`` are read as ``wrong``; of frames far apart, only the temperature can tell."""
    argon, factor = _argon(), conversion(wrong, "velocity")
    assert argon.velocities is not None
    if not resolved:
        order = np.random.default_rng(1).permuted(np.tile(np.arange(50), (20, 1)), axis=1)
        argon = replace(argon, velocities=np.take_along_axis(argon.velocities, order[..., None], axis=1))
    misread = replace(argon, velocities=argon.velocities * factor / conversion(right, "velocity"))  # type: ignore[operator]
    temperature = float(kinetic_temperatures(misread).mean())
    if right == wrong or (not resolved and 1.0 <= temperature <= 1e4):
        _verify(misread, factor=factor)
        return
    with pytest.raises(ForcefreeError, match=rf"--velocity-unit {right}$"):
        _verify(misread, factor=factor)


def test_velocities_of_other_atoms_are_refused() -> None:
    argon = _argon()
    with pytest.raises(ForcefreeError, match="atoms or frames in another order"):
        _verify(replace(argon, velocities=argon.velocities[:, ::-1]))  # type: ignore[index]


def test_a_wrong_time_step_is_named_when_the_temperature_is_right() -> None:
    argon = _argon(0.5)
    with pytest.raises(ForcefreeError, match=r"move 0\.5 times as far .* \(frames 0\.5 instead of 1 fs apart would fit\)"):
        _verify(replace(argon, times=2 * argon.times))


@pytest.mark.parametrize("phase", [0.3, 1.6, 2.5, 4.1])
def test_a_vibration_that_the_frames_do_not_resolve_is_no_mix_up(phase: float) -> None:
    """Chords of a fast vibration differ from its velocities by tan(p/2)/(p/2), and may even point the other way."""
    times = np.arange(200.0)
    swing = np.sin(phase * times[:, None, None] + np.arange(50.0)[None, :, None])
    speed = phase * np.cos(phase * times[:, None, None] + np.arange(50.0)[None, :, None])
    scale = 0.01 / phase * np.ones((1, 1, 3))
    checks = _verify(replace(_argon(), times=times, positions=scale * swing, velocities=scale * speed))
    assert (checks.slope is None) == (phase > 1.0)


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
        _verify(shaken, derived=True)


def test_a_single_atom_and_a_single_frame_can_be_judged() -> None:
    argon = _argon()
    assert argon.velocities is not None
    one = Trajectory("one", argon.numbers[:1], argon.masses[:1], argon.times, argon.positions[:, :1], argon.velocities[:, :1])
    assert _verify(one).slope == pytest.approx(1.0)
    assert _verify(argon.frames(0, 1)).slope is None
