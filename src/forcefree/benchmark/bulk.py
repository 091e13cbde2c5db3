"""Rollouts of crystals, liquids and molecules and the figures by which they are judged: pair distances, drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers

from forcefree.analysis.energies import potential_energies
from forcefree.analysis.pieces import Piece
from forcefree.analysis.transport import RDF_BIN, half_height, pair_distances
from forcefree.analysis.verdict import mean_and_error
from forcefree.benchmark.propagation import Propagation
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.models.forecaster import Forecaster
from forcefree.reference.config import CalculatorConfig
from forcefree.reference.summary import kinetic_energies
from forcefree.simulation.simulate import simulate
from forcefree.state import State

_RESAMPLES = 200
_PIECES, _FRAMES = 5, 100  # most pieces of a run, and about as many frames of each are looked at
_ENERGY_FRAMES = 20
_LONGEST, _WIDEST = 10.0, 30.0
"""Å, how far pair distances are counted in periodic systems and in molecules."""


def start_of(run: Trajectory, frame: int = 0) -> Atoms:
    """A frame of a run as a structure with velocities."""
    assert run.velocities is not None
    atoms = Atoms(run.numbers, positions=run.positions[frame], cell=run.cell, pbc=run.pbc, masses=run.masses)
    atoms.set_velocities(run.velocities[frame] / units.fs)
    return atoms


def follow(
    model: Forecaster, runs: Sequence[Trajectory], how: Propagation, earlier: Sequence[Trajectory] = ()
) -> tuple[list[Trajectory], int]:
    """NVE rollouts from the first frames of the runs, as long and as finely recorded; and how many were lost.

    Args:
        model: Of one frame, or of several where ``earlier`` frames lead to the first of each run.
        runs: Of the same systems, equally spaced.
        how: Propagator and interval.
        earlier: As many frames for each run as the model needs beside the first.
    """
    first: list[Atoms] | tuple[State, ...] = [start_of(run) for run in runs]
    if earlier:
        spacing = float(runs[0].times[0] - earlier[0].times[-1])
        frames = [[start_of(run, index) for run in earlier] for index in range(len(earlier[0]))]
        states = [State.from_atoms(atoms) for atoms in [*frames, first]]
        first = tuple(state.with_(time=state.time + spacing * (index + 1 - len(states))) for index, state in enumerate(states))
    found = simulate(
        model,
        first,
        ensemble="nve",
        duration=float(runs[0].times[-1] - runs[0].times[0]),
        **how.options,
        save_every=runs[0].spacing,
    )
    return [run for index, run in enumerate(found.trajectories()) if index not in found.stopped], len(found.stopped)


def free_flight(run: Trajectory) -> Trajectory:
    """The run as it would be if every atom flew straight from its first frame."""
    assert run.velocities is not None
    flown = (run.times - run.times[0])[:, None, None] * run.velocities[0]
    return replace(run, positions=run.positions[0] + flown, velocities=np.broadcast_to(run.velocities[0], flown.shape).copy())


def radial_distance(runs: Sequence[Trajectory], others: Sequence[Trajectory]) -> tuple[float, float | None]:
    """Area between two radial distribution functions over that below the second, of the worst pair of elements.

    Of isolated molecules the distributions of pair distances are compared in the same way. The cells of the two sides may differ;
    distances then count as far as the smaller one allows. Elements that come as near to each other on neither side are left out.

    Returns:
        The distance in %, and its error by resampling the runs of both sides, None where either has one run only.
    """
    periodic = bool(runs[0].pbc.all())
    reach = min(_LONGEST, half_height(runs[0]), half_height(others[0])) if periodic else _WIDEST
    ours, theirs = (_counted(side, reach) if periodic else _counted_apart(side, reach) for side in (runs, others))

    def radial(side: tuple[Floats, Floats], chosen: np.ndarray) -> Floats:
        counts, ideal = side
        return np.asarray(counts[chosen].sum(axis=0) / ideal[chosen].sum(axis=0))

    def distance(chosen: np.ndarray, beside: np.ndarray) -> float:
        one, other = radial(ours, chosen), radial(theirs, beside)
        changed, whole = np.abs(one - other).sum(axis=1), other.sum(axis=1)
        met = changed + whole > 0.0
        with np.errstate(divide="ignore"):
            return float(100.0 * (changed[met] / whole[met]).max()) if met.any() else float("nan")

    found = distance(np.arange(len(runs)), np.arange(len(others)))
    if min(len(runs), len(others)) < 2:
        return found, None
    rng = np.random.default_rng(0)
    draws = ((rng.integers(0, len(side), len(side)) for side in (runs, others)) for _ in range(_RESAMPLES))
    with np.errstate(invalid="ignore"):  # no error of what is infinite
        return found, float(np.std([distance(*draw) for draw in draws]))


def structure_label(runs: Sequence[Trajectory]) -> str:
    """What :func:`radial_distance` is called in a table."""
    return "RDF L1 distance" if runs[0].pbc.all() else "pair distances, L1 distance"


def _counted(runs: Sequence[Trajectory], reach: float) -> tuple[Floats, Floats]:
    """Pair counts of each run and those of an ideal gas, by several pieces of it: sharp peaks need many frames."""
    found = []
    for index, run in enumerate(runs):
        size = -(-len(run) // min(_PIECES, -(-len(run) // _FRAMES)))
        found.append(pair_distances([Piece(index, run.frames(first, first + size)) for first in range(0, len(run), size)], reach))
    ideal = np.stack([one.ideal.sum(axis=0) for one in found])
    for row, name in enumerate(found[0].names):  # as in a cell of many: of n equal atoms each has n others, not n - 1
        first, second = name.split("-")
        same = int((runs[0].numbers == atomic_numbers[first]).sum())
        ideal[:, row] *= same / (same - 1) if first == second else 1.0
    return np.stack([one.counts.sum(axis=0) for one in found]), ideal


def _counted_apart(runs: Sequence[Trajectory], reach: float) -> tuple[Floats, Floats]:
    """Pair counts of each run of an isolated molecule, by pairs of elements, and the number of frames that they are from."""
    first, second = np.triu_indices(len(runs[0].numbers), 1)
    low, high = np.sort(runs[0].numbers[np.stack([first, second])], axis=0)
    kinds = np.unique(1000 * low + high, return_inverse=True)[1]
    edges = np.arange(0.0, reach + 1e-9, RDF_BIN)
    counts, frames = [], []
    for run in runs:
        few = run.frames(0, len(run), max(1, len(run) // (_PIECES * _FRAMES)))
        distances = np.linalg.norm(few.positions[:, first] - few.positions[:, second], axis=-1)
        counts.append(np.stack([np.histogram(distances[:, kinds == kind], edges)[0] for kind in range(kinds.max() + 1)]).astype(np.float64))
        frames.append(np.full(counts[-1].shape, float(len(few))))
    return np.stack(counts), np.stack(frames)


def energy_drift(runs: Sequence[Trajectory], calculator: CalculatorConfig, *, potential_only: bool = False) -> tuple[float, float]:
    """Slope of the true total (or potential) energy in meV per atom and ps, with its error over runs."""
    few = [run.frames(0, len(run), max(1, len(run) // _ENERGY_FRAMES)) for run in runs]
    slopes = []
    for run, potential in zip(few, potential_energies(few, calculator), strict=True):
        energy = potential if potential_only else potential + kinetic_energies(run)
        slopes.append(float(np.polyfit(run.times / 1000.0, 1000.0 * energy / len(run.numbers), 1)[0]))
    return mean_and_error(slopes)
