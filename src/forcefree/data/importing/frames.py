"""Single frames, as most formats give them, gathered into blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forcefree.data.importing.source import Source, block_length, same_cell, standard_masses
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.errors import ForcefreeError


@dataclass(frozen=True)
class Frame:
    """One frame in forcefree's units.

    Attributes:
        numbers: Atomic numbers, shape (n_atoms,).
        positions: Å, shape (n_atoms, 3).
        cell: Rows are cell vectors in Å, shape (3, 3); ignored where not periodic.
        pbc: Which are periodic, shape (3,).
        time: fs, or None where the format stores none.
        masses: amu, shape (n_atoms,), or None for standard ones.
        velocities: Å/fs, shape (n_atoms, 3), or None.
        forces: eV/Å, shape (n_atoms, 3), or None.
        energy: eV, or None.
    """

    numbers: NDArray[np.int64]
    positions: Floats
    cell: Floats
    pbc: NDArray[np.bool_]
    time: float | None = None
    masses: Floats | None = None
    velocities: Floats | None = None
    forces: Floats | None = None
    energy: float | None = None


def gather(frames: Iterable[Frame], source: Source, name: str, **provenance: Any) -> Iterator[Trajectory]:
    """Collect frames of one trajectory into blocks; a changing cell or changing atoms are refused.

    Args:
        frames: All frames in order.
        source: Where they come from; gives the times when the frames have none.
        name: Of the trajectory.
        provenance: JSON values to keep.

    Yields:
        Blocks of at most ``block_length`` frames.

    Raises:
        ForcefreeError: If there is no frame, the atoms or the cell change, or a quantity is missing in some frames.
    """
    rows = iter(frames)
    first = next(rows, None)
    if first is None:
        raise ForcefreeError(f"{source.path} holds no frames; it may be empty or truncated")
    template = Trajectory(
        name=name,
        numbers=first.numbers,
        masses=standard_masses(first.numbers) if first.masses is None else first.masses,
        times=np.empty(0),
        positions=np.empty((0, len(first.numbers), 3)),
        cell=np.where(first.pbc[:, None], first.cell, 0.0),
        pbc=first.pbc,
        provenance=provenance,
    )
    rows, start = chain([first], rows), 0
    while batch := list(islice(rows, block_length(len(first.numbers)))):
        for index, frame in enumerate(batch, start):
            _alike(frame, first, index, source.path)
        yield _block(batch, template, _times(batch, source, start))
        start += len(batch)


def _alike(frame: Frame, first: Frame, index: int, path: Path) -> None:
    if not np.array_equal(frame.numbers, first.numbers):
        raise ForcefreeError(
            f"{path} has other atoms in frame {index} than in frame 0; a trajectory needs the same atoms in the same order"
        )
    if not np.array_equal(frame.pbc, first.pbc):
        raise ForcefreeError(f"{path} changes its periodic directions in frame {index}; they must stay as in frame 0")
    same_cell(frame.cell, first.cell, first.pbc, path)
    for noun in ("time", "velocities", "forces", "energy"):
        if (getattr(frame, noun) is None) != (getattr(first, noun) is None):
            raise ForcefreeError(
                f"{path} has {noun} in some frames but not in frame {index if getattr(frame, noun) is None else 0}; make them alike"
            )


def _times(batch: list[Frame], source: Source, start: int) -> Floats:
    known = [frame.time for frame in batch if frame.time is not None]
    if not known:
        return source.times(start, len(batch))
    return np.array(known)


def _block(batch: list[Frame], template: Trajectory, times: Floats) -> Trajectory:
    def stack(noun: str) -> Any:
        values = [getattr(frame, noun) for frame in batch]
        return None if values[0] is None else np.array(values, dtype=np.float64)

    return replace(
        template,
        times=times,
        positions=stack("positions"),
        velocities=stack("velocities"),
        forces=stack("forces"),
        energies=stack("energy"),
    )
