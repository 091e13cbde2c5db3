"""The clips that the 3-D viewer plays: the end of one run of each side, at the same pace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from forcefree.analysis.geometry import superposing_rotations
from forcefree.analysis.result import Analysis, SideResult
from forcefree.analysis.topology import bonded_pairs
from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Floats, Trajectory

SPACING = 4.0
"""fs between shown frames, where the stored frames allow: vibrations look smooth."""

_MOST_FRAMES = 200
_FEWEST_FRAMES = 40
_MOST_POSITIONS = 40000


@dataclass(frozen=True)
class Clip:
    """Consecutive frames of one run as multi-frame XYZ.

    Attributes:
        title: Where it comes from.
        xyz: Frames; isolated molecules are superposed on one structure, so that they neither drift nor tumble.
        bonds: Pairs of atoms, the same in every frame.
        start: Time of the first frame in fs.
        spacing: Time between frames in fs.
        periodic: Whether to draw the cell.
    """

    title: str
    xyz: str
    bonds: list[tuple[int, int]]
    start: float
    spacing: float
    periodic: bool

    def plain(self) -> dict[str, Any]:
        """JSON values for the viewer."""
        return {
            "title": self.title, "xyz": self.xyz, "bonds": self.bonds, "start": self.start, "spacing": self.spacing, "periodic": self.periodic
        }  # fmt: skip


def clips(analysis: Analysis) -> list[Clip]:
    """Cut the clips of trajectory and reference; bonds come from the reference.

    Args:
        analysis: Names the two stores and the run of each that is shown.

    Returns:
        Trajectory first. At most 200 frames each, fewer for large systems.

    Raises:
        ForcefreeError: If a store has gone or changed since it was analysed.
    """
    sides = (analysis.trajectory, analysis.reference)
    pace = max(SPACING, *(side.spacing for side in sides))
    runs = [_end(side, pace) for side in sides]
    bonds = bonded_pairs([runs[1]])
    titles = [f"{noun}: {side.shown_run}" for noun, side in zip(("Trajectory", "Reference"), sides, strict=True)]
    return [
        Clip(title, to_xyz(run, runs[1].positions[0]), bonds, float(run.times[0]), run.spacing, bool(run.pbc.any()))
        for title, run in zip(titles, runs, strict=True)
    ]


def to_xyz(run: Trajectory, target: Floats) -> str:
    """Frames as XYZ text with three decimals, superposed on ``target`` (n_atoms, 3) where nothing is periodic."""
    positions = run.positions
    lattice = "frame"
    if run.pbc.any():
        lattice = f'Lattice="{" ".join(f"{value:.4f}" for value in run.cell.ravel())}"'
    else:
        share = run.masses / run.masses.sum()
        positions = positions - np.einsum("a,fad->fd", share, positions)[:, None]
        if len(run.numbers) > 2:
            positions = positions @ superposing_rotations(positions, target, run.masses)
    symbols = [chemical_symbols[number] for number in run.numbers]
    frames = []
    for frame in positions:
        atoms = [f"{symbol} {x:.3f} {y:.3f} {z:.3f}" for symbol, (x, y, z) in zip(symbols, frame, strict=True)]
        frames.append("\n".join([str(len(symbols)), lattice, *atoms]))
    return "\n".join(frames) + "\n"


def _end(side: SideResult, pace: float) -> Trajectory:
    run = next(iter(read_store(Path(side.path), [side.shown_run])))
    stride = max(1, round(pace / side.spacing))
    frames = max(_FEWEST_FRAMES, min(_MOST_FRAMES, _MOST_POSITIONS // side.n_atoms))
    last = len(run) - 1
    first = max(last % stride, last - (frames - 1) * stride)
    return run.frames(first, len(run), stride)
