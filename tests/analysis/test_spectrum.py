"""Analytic oscillators appear at their wavenumber, each degree of freedom with an area of one."""

from __future__ import annotations

import numpy as np
import pytest

from forcefree.analysis.peaks import peak_positions
from forcefree.analysis.pieces import Piece
from forcefree.analysis.spectrum import density_of_states, on_grid, piece_spectra, power_above, spectral_distance
from forcefree.data.trajectory import Trajectory
from forcefree.units import BOLTZMANN, KINETIC_UNIT, WAVENUMBER_PER_INVERSE_FS
from networks import MASSES

FRAMES, SPACING = 4000, 1.0


def _oscillators(
    wavenumbers: list[float], masses: np.ndarray, temperature: float, frames: int = FRAMES, spacing: float = SPACING
) -> np.ndarray:
    """One atom per wavenumber, moving along x with the mean energy of an oscillator at that temperature."""
    times = np.arange(frames) * spacing
    velocities = np.zeros((frames, len(wavenumbers), 3))
    for atom, (wavenumber, mass) in enumerate(zip(wavenumbers, masses, strict=True)):
        amplitude = np.sqrt(2.0 * BOLTZMANN * temperature / (KINETIC_UNIT * mass))
        velocities[:, atom, 0] = amplitude * np.cos(2.0 * np.pi * wavenumber / WAVENUMBER_PER_INVERSE_FS * times + atom)
    return velocities


def test_each_oscillator_is_at_its_place_with_an_area_of_one() -> None:
    given, masses = [437.0, 1203.0, 3310.0], np.array([15.999, 1.008, 63.5])
    velocities = _oscillators(given, masses, 350.0)
    wavenumbers, density = density_of_states(velocities, masses, SPACING, 350.0)
    step = wavenumbers[1] - wavenumbers[0]
    np.testing.assert_allclose(density.sum(axis=1) * step, 1.0, rtol=0.01)
    for atom, wavenumber in enumerate(given):
        assert peak_positions(wavenumbers, density[atom], 0.5) == pytest.approx([wavenumber], abs=0.3)


def test_a_cold_oscillator_has_a_missing_area() -> None:
    velocities = _oscillators([800.0, 800.0], np.ones(2), 300.0)
    velocities[:, 1] *= np.sqrt(0.8)
    wavenumbers, density = density_of_states(velocities, np.ones(2), SPACING, 300.0)
    np.testing.assert_allclose(density.sum(axis=1) * (wavenumbers[1] - wavenumbers[0]), [1.0, 0.8], rtol=0.01)


def test_the_area_is_twice_the_kinetic_energy_over_kt() -> None:
    rng = np.random.default_rng(0)
    velocities = rng.normal(size=(20000, 2, 3))
    wavenumbers, density = density_of_states(velocities, np.array([2.0, 3.0]), 2.0, 300.0)
    expected = KINETIC_UNIT * np.array([2.0, 3.0]) * (velocities**2).sum(axis=2).mean(axis=0) / (BOLTZMANN * 300.0)
    np.testing.assert_allclose(density.sum(axis=1) * (wavenumbers[1] - wavenumbers[0]), expected, rtol=0.02)


def test_a_molecule_has_its_vibrations(thermostatted: list[Trajectory]) -> None:
    pieces = [Piece(i, run) for i, run in enumerate(thermostatted)]
    found = piece_spectra(pieces, thermostatted[0].positions[0], 300.0)
    assert found.elements == ("H", "O")
    assert found.density.shape == (12, 2, len(found.wavenumbers))
    area = found.total.sum() * (found.wavenumbers[1] - found.wavenumbers[0])
    assert area == pytest.approx(6.0, rel=0.15)
    assert found.nyquist == pytest.approx(WAVENUMBER_PER_INVERSE_FS / 4.0)
    assert found.resolution == pytest.approx(1.5 * WAVENUMBER_PER_INVERSE_FS / 1200.0)
    assert len(peak_positions(found.wavenumbers, found.total)) >= 4


def test_resampling_on_another_grid_keeps_the_area(thermostatted: list[Trajectory]) -> None:
    found = piece_spectra([Piece(0, thermostatted[0])], thermostatted[0].positions[0], 300.0)
    np.testing.assert_array_equal(on_grid(found, found.wavenumbers), found.density)
    fine = np.linspace(0.0, found.wavenumbers[-1], 5 * len(found.wavenumbers))
    moved = on_grid(found, fine)
    areas = [moved.sum() * fine[1], found.density.sum() * found.wavenumbers[1]]
    assert areas[0] == pytest.approx(areas[1], rel=0.01)


def test_spectral_distance_counts_shape_and_area() -> None:
    p, q = np.array([1.0, 3.0, 0.0]), np.array([0.0, 0.0, 4.0])
    assert spectral_distance(p, p) == 0.0
    assert spectral_distance(p, q) == 1.0
    assert spectral_distance(p, 3.0 * p) == pytest.approx(0.5)
    overlap = np.minimum(p / 4.0, np.array([2.0, 1.0, 1.0]) / 4.0).sum()
    assert spectral_distance(p, np.array([2.0, 1.0, 1.0])) == pytest.approx(1.0 - overlap)


def test_power_above_a_limit() -> None:
    velocities = _oscillators([500.0, 3000.0], np.array([1.0, 4.0]), 300.0)
    run = Trajectory("r", np.array([1, 1]), np.array([1.0, 4.0]), np.arange(FRAMES) * SPACING, np.zeros((FRAMES, 2, 3)), velocities)
    assert power_above([Piece(0, run)], 1700.0) == pytest.approx(0.5, abs=0.01)
    assert power_above([Piece(0, run)], 4000.0) == pytest.approx(0.0, abs=1e-3)


def test_too_coarse_frames_fold_a_line_to_where_the_formula_says() -> None:
    spacing, given = 8.0, 3000.0
    velocities = _oscillators([given], MASSES[:1], 300.0, frames=1000, spacing=spacing)
    wavenumbers, density = density_of_states(velocities, MASSES[:1], spacing, 300.0)
    sampling = WAVENUMBER_PER_INVERSE_FS / spacing
    assert peak_positions(wavenumbers, density[0], 0.5) == pytest.approx([abs(given - sampling)], abs=1.0)


def test_each_element_of_a_periodic_system_has_the_area_of_its_share_of_freedom() -> None:
    """Canonical velocities without the motion of the whole: n atoms of mass m among a mass M have 3 n (1 - m/M) degrees of freedom."""
    rng = np.random.default_rng(8)
    numbers, masses = np.array([1, 1, 1, 8, 8]), np.array([1.0, 1.0, 1.0, 16.0, 16.0])
    spread = np.sqrt(BOLTZMANN * 250.0 / (KINETIC_UNIT * masses))[:, None]
    run = Trajectory(
        "r", numbers, masses, np.arange(8000.0), rng.normal(size=(8000, 5, 3)), spread * rng.normal(size=(8000, 5, 3)),
        cell=9.0 * np.eye(3), pbc=np.ones(3, dtype=bool),
    )  # fmt: skip
    found = piece_spectra([Piece(0, run)], run.positions[0], 250.0)
    areas = found.density[0].sum(axis=1) * found.wavenumbers[1]
    np.testing.assert_allclose(areas, [9.0 * (1.0 - 1.0 / 35.0), 6.0 * (1.0 - 16.0 / 35.0)], rtol=0.03)
