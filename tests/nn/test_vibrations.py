"""Vibrations about a reference against harmonic motion that is known, and against what must hold whatever the weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from forcefree.benchmark.normal_modes import harmonic_motion
from forcefree.nn.spectrum import canonical_modes
from forcefree.nn.vibrations import Vibrations, quasi_harmonic
from forcefree.units import BOLTZMANN, KINETIC_UNIT

ATOMS, TEMPERATURE = 4, 300.0
MASSES = np.array([12.0, 16.0, 14.0, 12.0])
TIMES = torch.tensor([0.0, 3.0, 25.0, 140.0], dtype=torch.float64)


def chain(**options: bool) -> Vibrations:
    torch.manual_seed(0)
    laplacian = torch.tensor([[1, -1, 0, 0], [-1, 2, -1, 0], [0, -1, 2, -1], [0, 0, -1, 1]], dtype=torch.float64)
    values, vectors = canonical_modes(laplacian)
    settings = {"coupled": True, "shared_clock": False} | options
    return Vibrations(values, vectors, torch.ones(ATOMS, dtype=torch.float64), relaxations=3, longest=1000.0, **settings).double()


def shape() -> Tensor:
    return torch.tensor([[0.0, 0.0, 0.0], [1.3, 0.2, 0.0], [1.9, 1.4, 0.1], [3.1, 1.5, -0.6]], dtype=torch.float64)


def stiffness() -> np.ndarray:
    """Hessian of springs between all pairs, eV/Å^2: six motions without a force, those of a rigid body."""
    positions, matrix = shape().numpy(), np.zeros((ATOMS, 3, ATOMS, 3))
    for i in range(ATOMS):
        for j in range(i):
            unit = positions[i] - positions[j]
            block = (10.0 + 3.0 * i + j) * np.outer(unit, unit) / (unit @ unit)
            for a, b, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
                matrix[a, :, b] += sign * block
    return matrix.reshape(3 * ATOMS, -1)


def thermal(count: int) -> tuple[Tensor, Tensor]:
    """Canonical displacements and velocities of the springs, without motion as a rigid body."""
    root = np.sqrt(np.repeat(KINETIC_UNIT * MASSES, 3))
    square, modes = np.linalg.eigh(stiffness() / root[:, None] / root)
    noise = np.random.default_rng(1).standard_normal((2, count, len(square) - 6)) * np.sqrt(BOLTZMANN * TEMPERATURE)
    displaced, velocities = (noise[0] / np.sqrt(square[6:])) @ modes[:, 6:].T / root, noise[1] @ modes[:, 6:].T / root
    return torch.from_numpy(displaced.reshape(count, ATOMS, 3)), torch.from_numpy(velocities.reshape(count, ATOMS, 3))


def test_the_start_is_exact_and_rates_are_derivatives_whatever_the_weights() -> None:
    for options in ({}, {"coupled": False}, {"coupled": False, "shared_clock": True}):
        vibrations, (displaced, velocities) = chain(**options), thermal(5)
        for parameter in vibrations.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
        asked = TIMES[:, None].expand(-1, 5)
        with torch.no_grad():
            there, rates = vibrations(displaced, velocities, asked)
            ahead, behind = (vibrations(displaced, velocities, asked + step)[0] for step in (1e-4, -1e-4))
        torch.testing.assert_close(there[0], displaced, rtol=0.0, atol=1e-13)
        torch.testing.assert_close(rates[0], velocities, rtol=0.0, atol=1e-13)
        torch.testing.assert_close(rates, (ahead - behind) / 2e-4, rtol=1e-6, atol=1e-9)


def test_all_motion_fades_into_the_shape() -> None:
    vibrations, (displaced, velocities) = chain(), thermal(5)
    vibrations.decode.data[:, 6:] = 0.0
    vibrations.start_from(*thermal(500))
    there, rates = vibrations(displaced, velocities, torch.full((1, 5), 1e5, dtype=torch.float64))
    assert there.abs().max() < 1e-6
    assert rates.abs().max() < 1e-6


def test_quasi_harmonic_modes_are_normal_modes() -> None:
    root = np.sqrt(np.repeat(KINETIC_UNIT * MASSES, 3))
    expected = np.sqrt(np.linalg.eigvalsh(stiffness() / root[:, None] / root)[6:])
    displaced, velocities = (each.flatten(1) for each in thermal(40_000))
    frequencies, shapes, reading = quasi_harmonic(displaced, velocities)
    np.testing.assert_allclose(frequencies.numpy(), expected, rtol=0.02)
    torch.testing.assert_close(reading.T @ shapes, torch.eye(6, dtype=torch.float64), rtol=0.0, atol=1e-9)
    torch.testing.assert_close(displaced @ reading @ shapes.T, displaced, rtol=0.0, atol=1e-9)


def test_springs_are_forecast_before_any_training() -> None:
    vibrations = chain()
    vibrations.start_from(*thermal(40_000))
    vibrations.log_damping.data[:] = -30.0
    vibrations.decode.data[:, 6:] = 0.0
    displaced, velocities = thermal(3)
    with torch.no_grad():
        there, _ = vibrations(displaced, velocities, TIMES[:, None].expand(-1, 3))
    for index in range(3):
        true = harmonic_motion(stiffness(), MASSES, displaced[index].numpy(), velocities[index].numpy(), TIMES.numpy())
        error = np.sqrt(((there[:, index].numpy() - true) ** 2).mean(axis=(1, 2)))
        assert error[2] < 0.05 * true.std(), "within a period"
        assert error[3] < 0.4 * true.std(), "where phases are as good as the frequencies of a finite sample"


def test_one_clock_without_coupling_is_blind_to_the_graph() -> None:
    vibrations, (displaced, velocities) = chain(coupled=False, shared_clock=True), thermal(2)
    vibrations.shift[-1].weight.data[:] = torch.randn(vibrations.shift[-1].weight.shape)
    asked = TIMES[:, None].expand(-1, 2)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        vibrations(displaced[:, order], velocities[:, order], asked)[0], vibrations(displaced, velocities, asked)[0][:, :, order]
    )
    many = chain(coupled=False)
    many.shift[-1].weight.data[:] = torch.randn(many.shift[-1].weight.shape)
    changed = many(displaced[:, order], velocities[:, order], asked)[0] - many(displaced, velocities, asked)[0][:, :, order]
    assert changed.abs().max() > 1e-3
