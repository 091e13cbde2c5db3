"""Starts of rollouts: frames of the bundled NVT reference, far apart, so that no replica begins at the bottom of the well."""

from __future__ import annotations

import math
from pathlib import Path

from ase import Atoms, units

from forcefree.data.h5md import read_store
from forcefree.models.files import bundled_references


def reference_starts(count: int, reference: str = "ethanol-nvt-300K") -> list[Atoms]:
    """``count`` structures with velocities, spread evenly over the runs and the time of a reference."""
    runs = list(read_store(bundled_references().get(reference, Path(reference))))
    starts = []
    for index in range(count):
        run = runs[index % len(runs)]
        frame = (index // len(runs) * 977 + 131 * index) % len(run)
        atoms = Atoms(run.numbers, positions=run.positions[frame])
        assert run.velocities is not None
        atoms.set_velocities(run.velocities[frame] / units.fs)
        starts.append(atoms)
    return starts


def fine_spacing(interval: float) -> float:
    """Longest time between recorded frames, fs, that divides the step and sees the O-H stretch, which needs 4.5 fs or less."""
    round_numbers = (part for part in (4.0, 2.5, 2.0) if interval % part == 0.0)
    return next(round_numbers, interval / math.ceil(interval / 4.5))
