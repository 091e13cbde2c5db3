"""What no room of the house should take from a trajectory: values that are no numbers, atoms on top of one another, absurd heat."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols
from vesin import NeighborList

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.starts import CLOSEST
from forcefree.units import BOLTZMANN, KINETIC_UNIT
from forcefree.velocities import HOTTEST

_REACH = 2.0
"""Å; neighbours are looked for this far, because a search of shorter reach has so many cells that it is slower."""


def check_finite(trajectory: Trajectory) -> None:
    """Refuse positions or velocities that are not finite numbers.

    Raises:
        ForcefreeError: Naming the first frame and atom.
    """
    for noun, values in (("position", trajectory.positions), ("velocity", trajectory.velocities)):
        if values is not None and not bool(np.isfinite(values).all()):
            frame, atom, _ = np.argwhere(~np.isfinite(values))[0]
            raise ForcefreeError(
                f"trajectory '{trajectory.name}' has a {noun} that is not a finite number (frame {frame}, atom {atom}); "
                "cut the run before it or leave it out"
            )


def check_overlaps(trajectory: Trajectory, frames: int | None = None) -> None:
    """Refuse frames in which two atoms or their images lie on top of one another.

    Args:
        trajectory: All its positions are finite.
        frames: About how many to look at; all when not given.

    Raises:
        ForcefreeError: Naming the time of the first such frame, the atoms and their distance, or a cell that leaves images no room.
    """
    periodic = trajectory.cell[trajectory.pbc]
    if len(periodic) and not bool(np.isfinite(periodic).all() and np.linalg.matrix_rank(periodic, tol=1e-6) == len(periodic)):
        raise ForcefreeError(
            f"trajectory '{trajectory.name}' is periodic but its cell {trajectory.cell.tolist()} does not span the periodic directions; "
            "give the whole cell or switch its periodicity off"
        )
    search = NeighborList(cutoff=_REACH, full_list=False)
    stride = 1 if frames is None else max(1, len(trajectory) // frames)
    for time, positions in zip(trajectory.times[::stride], trajectory.positions[::stride], strict=True):
        i, j, lengths = search.compute(points=positions, box=trajectory.cell, periodic=trajectory.pbc, quantities="ijd")
        if len(lengths) and lengths.min() < CLOSEST:
            worst = int(lengths.argmin())
            atoms = " and ".join(f"{chemical_symbols[trajectory.numbers[atom]]}{atom}" for atom in (int(i[worst]), int(j[worst])))
            raise ForcefreeError(
                f"trajectory '{trajectory.name}' has {atoms} only {lengths[worst]:.3f} Å apart at {time:g} fs; "
                f"no two atoms come closer than {CLOSEST} Å, check the units or leave the run out"
            )


def check_heat(trajectory: Trajectory, limit: float = HOTTEST) -> None:
    """Refuse velocities in another unit.

    Args:
        trajectory: Any; without velocities all is well.
        limit: K, that the mean kinetic temperature must stay below.

    Raises:
        ForcefreeError: Naming the temperature.
    """
    if trajectory.velocities is None or not len(trajectory):
        return
    found = mean_temperature(trajectory)
    if not found < limit:
        raise ForcefreeError(
            f"trajectory '{trajectory.name}' has velocities of {found:.3g} K, beyond {limit:g} K; "
            "they are probably in another unit than Å/fs, convert them with forcefree import"
        )


def mean_temperature(trajectory: Trajectory, frames: int = 400) -> float:
    """Mean kinetic temperature in K over 3N - 3 degrees of freedom, from about ``frames`` frames of a run with velocities."""
    assert trajectory.velocities is not None
    chosen = trajectory.velocities[:: max(1, len(trajectory) // frames)]
    twice_kinetic = KINETIC_UNIT * (trajectory.masses[:, None] * chosen**2).sum(axis=(1, 2))
    return float(twice_kinetic.mean() / (max(1, 3 * len(trajectory.numbers) - 3) * BOLTZMANN))
