"""What an imported store holds, read back from the disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from ase import Atoms

from forcefree.data.importing.checks import kinetic_temperatures
from forcefree.data.importing.h5md_files import read_h5md
from forcefree.data.importing.source import ImportOptions, Source
from forcefree.data.trajectory import Floats


@dataclass(frozen=True)
class Summary:
    """One trajectory of a store in numbers.

    Attributes:
        name: Of the trajectory.
        frames: How many.
        atoms: How many.
        formula: In Hill order.
        shortest: Shortest time between frames in fs.
        longest: Longest time between frames in fs.
        temperature: Mean over frames in K, or None without velocities.
        velocities: ``recorded``, ``central differences`` or ``none``.
        energies: Whether there are energies.
        forces: Whether there are forces.
        cell: Lengths in Å and angles in degrees, shape (6,), or None where not periodic.
    """

    name: str
    frames: int
    atoms: int
    formula: str
    shortest: float
    longest: float
    temperature: float | None
    velocities: str
    energies: bool
    forces: bool
    cell: Floats | None


def summarize(path: Path) -> Iterator[Summary]:
    """Read a store block by block and summarize each trajectory.

    Args:
        path: H5MD file that forcefree wrote.

    Raises:
        ForcefreeError: If it cannot be read.
    """
    for name, blocks in groupby(read_h5md(Source(path, ImportOptions())), key=lambda block: block.trajectory.name):
        times, heat = [], 0.0
        for block in blocks:
            trajectory = block.trajectory
            times.append(trajectory.times)
            heat += 0.0 if trajectory.velocities is None else float(kinetic_temperatures(trajectory).sum())
        every = np.concatenate(times)
        gaps = np.diff(every) if len(every) > 1 else np.zeros(1)
        atoms = Atoms(trajectory.numbers, cell=trajectory.cell, pbc=trajectory.pbc)
        yield Summary(
            name=name,
            frames=len(every),
            atoms=len(atoms),
            formula=atoms.get_chemical_formula(),
            shortest=float(gaps.min()),
            longest=float(gaps.max()),
            temperature=None if trajectory.velocities is None else heat / len(every),
            velocities=str(trajectory.provenance.get("velocities", "recorded")),
            energies=trajectory.energies is not None,
            forces=trajectory.forces is not None,
            cell=np.asarray(atoms.cell.cellpar()) if trajectory.pbc.any() else None,
        )
