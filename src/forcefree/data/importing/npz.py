"""The generic npz layout: Z, pos and any of vel, forces, energy, cell, time, dt in Å, fs and eV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from forcefree.data.importing.archive import Archive
from forcefree.data.importing.source import Block, Source, standard_masses
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.errors import ForcefreeError


def read_npz(source: Source) -> Iterator[Block]:
    """Read Z (n_atoms,), pos (n_frames, n_atoms, 3) and, where present, vel, forces, energy, masses, cell (3, 3), time, dt.

    A cell makes all three directions periodic. With ``pos_future`` and ``lag_fs`` each frame is a pair of its own, two
    frames ``lag_fs`` apart.

    Raises:
        ForcefreeError: If an array is missing, misshapen, or no time is known.
    """
    with Archive(source.path) as archive:
        if "pos_future" in archive:
            yield from _pairs(archive, source)
            return
        positions = archive.frames("pos")
        count = len(positions)
        fields = _fields(archive, source)
        yield Block(
            Trajectory(
                name=source.path.stem,
                times=_times(archive, source, count),
                positions=positions * source.unit("length", usual="A"),
                velocities=_vectors(archive, "vel", count, fields.pop("velocity_factor")),
                forces=_vectors(archive, "forces", count, source.force_unit(usual="eV/A")),
                energies=archive.scalars("energy", count) * source.unit("energy", usual="eV") if "energy" in archive else None,
                **fields,
            ),
            velocity_factor=source.unit("velocity", usual="A/fs"),
        )


def _fields(archive: Archive, source: Source) -> dict[str, Any]:
    numbers = archive.numbers("Z")
    cell = np.zeros((3, 3))
    if "cell" in archive:
        cell = np.asarray(archive["cell"], dtype=np.float64) * source.unit("length", usual="A")
        if cell.shape != (3, 3):
            raise ForcefreeError(f"{source.path}: array 'cell' has shape {cell.shape}; one constant 3 x 3 cell is needed")
    return {
        "numbers": numbers,
        "masses": np.asarray(archive["masses"], dtype=np.float64) if "masses" in archive else standard_masses(numbers),
        "cell": cell,
        "pbc": np.full(3, bool(cell.any())),
        "provenance": {"format": "npz"},
        "velocity_factor": source.unit("velocity", usual="A/fs"),
    }


def _vectors(archive: Archive, key: str, count: int, factor: float) -> Floats | None:
    return archive.frames(key, count) * factor if key in archive else None


def _times(archive: Archive, source: Source, count: int) -> Floats:
    if "time" in archive:
        times = archive.scalars("time", count)
        if count > 1:
            source.spacing(float(times[1] - times[0]))
        return times
    return source.times(0, count, spacing=archive.number("dt") if "dt" in archive else None)


def _pairs(archive: Archive, source: Source) -> Iterator[Block]:
    fields, lag = _fields(archive, source), archive.number("lag_fs")
    factor, length = fields.pop("velocity_factor"), source.unit("length", usual="A")
    now = archive.frames("pos")
    later = archive.frames("pos_future", len(now))
    velocities = [archive.frames(key, len(now)) for key in ("vel", "vel_future")] if "vel_future" in archive else None
    for index in range(len(now)):
        moving = None if velocities is None else np.stack([v[index] for v in velocities]) * factor
        yield Block(
            Trajectory(
                name=f"{source.path.stem}_{index:04d}",
                times=np.array([0.0, lag]),
                positions=np.stack([now[index], later[index]]) * length,
                velocities=moving,
                **fields,
            ),
            velocity_factor=factor,
        )
