"""MD17 trajectories with all atoms, cut in time: what a window forecaster may learn from, and what it is tested on."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from ase.data import atomic_masses

from forcefree.benchmark.md17_data import read_md17
from forcefree.data.h5md import write_store
from forcefree.data.importing.md17 import MD17_SPACING
from forcefree.data.trajectory import Trajectory
from forcefree.data.velocities import CentralDifferences
from forcefree.errors import ForcefreeError

GAP = 100.0
"""fs that are left out between two parts, at least as long as the longest window with its forecast."""

_TRAINING = 0.85  # of the frames; training itself validates on the last part of them
_PARTS = 3  # test sets, whose scatter is the error of a row


def read_whole(path: Path) -> Trajectory:
    """All atoms of an MD17 file ``md17_NAME.npz`` (keys ``R`` and ``z``), with velocities by central differences.

    The name of the trajectory says when it is a surrogate.

    Raises:
        ForcefreeError: If the file is missing, damaged or of another form.
    """
    numbers, positions, surrogate = read_md17(path)
    molecule = path.stem.removeprefix("md17_")
    facts = {"ensemble": "nvt", "temperature": 500.0, "level_of_theory": surrogate or "PBE+vdW-TS"}
    times = MD17_SPACING * np.arange(len(positions), dtype=np.float64)
    name = f"surrogate-{molecule}" if surrogate else molecule
    whole = Trajectory(name, numbers, atomic_masses[numbers], times, positions, provenance=facts)
    return CentralDifferences(MD17_SPACING)(whole)


def cut(trajectory: Trajectory, gap: float = GAP) -> tuple[Trajectory, list[Trajectory]]:
    """The first 85 % to train and validate on, and the rest in three parts, with a gap before each part.

    Args:
        trajectory: Equally spaced.
        gap: fs.

    Raises:
        ForcefreeError: If a part would be shorter than the gap.
    """
    frames, left_out = len(trajectory), round(gap / trajectory.spacing)
    edges = np.linspace(_TRAINING * frames, frames, _PARTS + 1).round().astype(int).tolist()
    parts = [trajectory.frames(begin + left_out, end) for begin, end in pairwise(edges) if end - begin > 2 * left_out]
    if len(parts) < _PARTS:
        raise ForcefreeError(f"{frames} frames of {trajectory.name} are too few for {_PARTS} test parts with gaps of {gap:g} fs; use more")
    named = [replace(part, name=f"part_{index}") for index, part in enumerate(parts)]
    return replace(trajectory.frames(0, edges[0]), name="training"), named


def write_blocks(path: Path, folder: Path) -> tuple[Path, Path]:
    """Stores of the two parts of an MD17 file, ``NAME-training.h5`` and ``NAME-test.h5``; those that are there stay.

    Raises:
        ForcefreeError: If the file cannot be used.
    """
    whole = read_whole(path)
    stores = (folder / f"{whole.name}-training.h5", folder / f"{whole.name}-test.h5")
    training, parts = cut(whole)
    for store, trajectories in zip(stores, ([training], parts), strict=True):
        if not store.exists():
            write_store(store, trajectories)
    return stores
