"""True potential energies of sampled frames, by the reference's own calculator, and the drift of the total energy."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from threadpoolctl import threadpool_limits

from forcefree.data.trajectory import Floats, Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig
from forcefree.reference.electrons import NEUTRAL, Electrons
from forcefree.reference.engines.native_calculator import NativeCalculator
from forcefree.units import KINETIC_UNIT


@dataclass(frozen=True)
class SampledEnergies:
    """Energies at equally spaced frames of one run.

    Attributes:
        times: fs, shape (n_samples,).
        potential: eV, NaN where the calculator failed, shape (n_samples,).
        kinetic: eV, shape (n_samples,).
    """

    times: Floats
    potential: Floats
    kinetic: Floats

    @property
    def drift(self) -> float:
        """Slope of the total energy in eV/fs by least squares, NaN with fewer than three energies."""
        good = np.isfinite(self.potential)
        if good.sum() < 3:
            return float("nan")
        return float(np.polyfit(self.times[good], (self.potential + self.kinetic)[good], 1)[0])


def kinetic_energies(run: Trajectory) -> Floats:
    """Kinetic energy of every frame, with the motion of the centre of mass, eV, shape (n_frames,)."""
    assert run.velocities is not None
    return np.asarray(0.5 * KINETIC_UNIT * np.einsum("a,fad->f", run.masses, run.velocities**2))


def thin(run: Trajectory, count: int) -> Trajectory:
    """About ``count`` frames spread evenly over a run, at least the first."""
    return run.frames(0, len(run), max(1, -(-len(run) // max(1, count))))


def sample_energies(
    runs: Sequence[Trajectory],
    calculator: CalculatorConfig | None,
    *,
    samples: int,
    workers: int = 1,
    electrons: Electrons = NEUTRAL,
    bonded: Trajectory | None = None,
) -> list[SampledEnergies]:
    """Energies of frames spread evenly over all runs.

    Args:
        runs: Where frames come from.
        calculator: Computes the potential energy; where None, the energies that the runs carry are taken.
        samples: Frames in all; each run gives at least one.
        workers: Processes side by side, each with one BLAS thread.
        electrons: Charge and unpaired electrons of the system.
        bonded: As for :func:`potential_energies`.

    Returns:
        One record per run.

    Raises:
        ForcefreeError: If the calculator cannot be built, or computes none of the frames.
    """
    thinned = [thin(run, max(1, samples // len(runs))) for run in runs]
    if calculator is None:
        found = [np.full(len(run), np.nan) if run.energies is None else run.energies for run in thinned]
    else:
        found = potential_energies(thinned, calculator, workers=workers, electrons=electrons, bonded=bonded)
    return [SampledEnergies(run.times, energies, kinetic_energies(run)) for run, energies in zip(thinned, found, strict=True)]


def potential_energies(
    runs: Sequence[Trajectory],
    calculator: CalculatorConfig,
    *,
    workers: int = 1,
    electrons: Electrons = NEUTRAL,
    bonded: Trajectory | None = None,
) -> list[Floats]:
    """Potential energy of every frame.

    Args:
        runs: Frames; all are computed.
        calculator: Which calculator.
        workers: Processes side by side.
        electrons: Charge and unpaired electrons of the system.
        bonded: Trajectory whose first frame has the bonds of a potential that finds bonds by distance; the first run if None.

    Returns:
        eV, one array per run, NaN where the calculator failed on a frame.

    Raises:
        ForcefreeError: If the calculator cannot be built, does not suit the structure with the bonds, or fails on every frame.
    """
    build_calculator(calculator)
    bonded = bonded or runs[0]
    if workers == 1 or len(runs) == 1:
        energies = [_energies(run, calculator, electrons, bonded) for run in runs]
    else:
        with ProcessPoolExecutor(min(workers, len(runs)), mp_context=multiprocessing.get_context("spawn")) as pool:
            energies = list(pool.map(_energies, runs, [calculator] * len(runs), [electrons] * len(runs), [bonded.frames(0, 1)] * len(runs)))
    if not any(np.isfinite(e).any() for e in energies):
        raise ForcefreeError(f"calculator '{calculator.name}' failed on every sampled frame; check that it suits this system")
    return energies


def _energies(run: Trajectory, calculator: CalculatorConfig, electrons: Electrons, bonded: Trajectory) -> Floats:
    atoms = Atoms(run.numbers, cell=run.cell, pbc=run.pbc)
    atoms.set_masses(run.masses)
    electrons.attach(atoms)
    same = np.array_equal(bonded.numbers, run.numbers)
    atoms.positions = (bonded if same else run).positions[0]
    engine = _holding(atoms, calculator)
    first = atoms.copy()
    energies = np.full(len(run), np.nan)
    with threadpool_limits(1):
        for index, positions in enumerate(run.positions):
            atoms.positions = positions
            atoms.calc = engine
            try:
                energies[index] = atoms.get_potential_energy()
            except Exception:  # calculators raise whatever they like on a broken structure; the frame counts as failed
                engine = _holding(first, calculator)
    return energies


def _holding(atoms: Atoms, config: CalculatorConfig) -> Calculator:
    """A fresh calculator; one that finds bonds has found those of this structure, not of a frame that may be broken."""
    calculator = build_calculator(config)
    if isinstance(calculator, NativeCalculator):
        calculator.hold(atoms)
    return calculator
