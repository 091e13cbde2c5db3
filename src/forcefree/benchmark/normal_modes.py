"""Harmonic dynamics about the minimum that a frame relaxes to: the forecast of somebody who knows the force constants but no anharmonicity."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from ase.optimize import BFGS
from numpy.typing import NDArray
from torch import Tensor

from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig
from forcefree.training.windows import Windows
from forcefree.units import ASE_FEMTOSECOND, KINETIC_UNIT

Floats = NDArray[np.float64]
_STEP = 0.005  # Å, of the central differences of the forces
_FORCE = 0.005  # eV/Å, at which a structure counts as relaxed
_MOST_STEPS = 300


class NormalModes:
    """Each window's last frame is relaxed, its Hessian taken there, and its motion continued in the normal modes.

    Args:
        calculator: Reference potential.
    """

    def __init__(self, calculator: CalculatorConfig) -> None:
        self._calculator = calculator

    def __call__(self, windows: Windows) -> Tensor:
        """Positions at all times, Å, shape (n_times, n_atoms, 3)."""
        parts = []
        for index, molecule in enumerate(windows.history[-1].to_atoms()):
            times = windows.times[:, index].numpy()
            parts.append(self._flight(molecule, times))
        return torch.from_numpy(np.concatenate(parts, axis=1))

    def _flight(self, molecule: Atoms, times: Floats) -> Floats:
        velocities = molecule.get_velocities() * ASE_FEMTOSECOND
        relaxed = molecule.copy()
        relaxed.calc = build_calculator(self._calculator)
        BFGS(relaxed, logfile=None).run(fmax=_FORCE, steps=_MOST_STEPS)
        start, rest = molecule.positions, relaxed.positions
        rotation = superposition(rest - rest.mean(axis=0), start - start.mean(axis=0))
        away = (start - start.mean(axis=0)) @ rotation.T - (rest - rest.mean(axis=0))
        moved = harmonic_motion(hessian(relaxed), molecule.get_masses(), away, velocities @ rotation.T, times)
        flown: Floats = start + (moved - away) @ rotation
        return flown


def superposition(reference: Floats, positions: Floats) -> Floats:
    """Rotation R with ``reference @ R`` closest to ``positions``, both centred, shape (3, 3)."""
    left, _, right = np.linalg.svd(reference.T @ positions)
    sign = np.sign(np.linalg.det(left @ right))
    rotation: Floats = (left * np.array([1.0, 1.0, sign])) @ right
    return rotation


def hessian(molecule: Atoms) -> Floats:
    """Second derivatives of the energy by central differences of the forces, eV/Å^2, shape (3 n_atoms, 3 n_atoms)."""
    here = molecule.positions.copy()
    rows = []
    for coordinate in range(here.size):
        forces = []
        for sign in (1.0, -1.0):
            moved = here.copy()
            moved.flat[coordinate] += sign * _STEP
            molecule.positions = moved
            forces.append(molecule.get_forces().reshape(-1))
        rows.append((forces[1] - forces[0]) / (2.0 * _STEP))
    molecule.positions = here
    matrix = np.stack(rows)
    symmetric: Floats = 0.5 * (matrix + matrix.T)
    return symmetric


def harmonic_motion(matrix: Floats, masses: Floats, displacements: Floats, velocities: Floats, times: Floats) -> Floats:
    """Displacements from the minimum at later times.

    Args:
        matrix: Hessian, eV/Å^2, shape (3 n_atoms, 3 n_atoms).
        masses: amu, shape (n_atoms,).
        displacements: At time zero, Å, shape (n_atoms, 3).
        velocities: At time zero, Å/fs, shape (n_atoms, 3).
        times: fs, shape (n_times,).

    Returns:
        Å, shape (n_times, n_atoms, 3); modes without a restoring force move on straight.
    """
    root = np.sqrt(np.repeat(KINETIC_UNIT * masses, 3))
    square, modes = np.linalg.eigh(matrix / root[:, None] / root)
    frequencies = np.sqrt(np.clip(square, 0.0, None))
    amplitude, slope = modes.T @ (root * displacements.reshape(-1)), modes.T @ (root * velocities.reshape(-1))
    angle = frequencies * times[:, None]
    straight = np.broadcast_to(times[:, None], angle.shape)
    sine = np.where(frequencies > 1e-6, np.sin(angle) / np.maximum(frequencies, 1e-6), straight)
    moved: Floats = (np.cos(angle) * amplitude + sine * slope) @ modes.T / root
    return moved.reshape(len(times), -1, 3)
