"""Reporters that write trajectories: H5MD (all replicas in one file) and extended XYZ (one file per replica)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io.extxyz import write_extxyz

from forcefree.data.h5md import SUFFIXES as H5MD
from forcefree.data.h5md import StoreWriter
from forcefree.errors import ForcefreeError
from forcefree.simulation.recording import Block, MemoryReporter, Reporter, replica_trajectories
from forcefree.state import State
from forcefree.units import ASE_FEMTOSECOND

_XYZ = (".xyz", ".extxyz")
SUFFIXES = (*H5MD, *_XYZ)
"""What the name of an output may end in."""


def trajectory_files(output: Path, names: Sequence[int]) -> list[Path]:
    """The files that a trajectory of replicas ``names`` is written to: one, or for extended XYZ one per replica.

    Raises:
        ForcefreeError: If the suffix is unknown.
    """
    if output.suffix in H5MD:
        return [output]
    if output.suffix in _XYZ:
        several = len(names) > 1
        return [output.with_name(f"{output.stem}-replica_{name:04d}{output.suffix}") if several else output for name in names]
    raise ForcefreeError(f"output {output} has no known suffix; write .h5 for H5MD or .extxyz for extended XYZ")


def make_reporter(
    output: Path | None, state: State, names: Sequence[int], provenance: dict[str, Any], position: dict[str, Any] | None
) -> Reporter:
    """The reporter that the name of the output asks for.

    Args:
        output: ``.h5``, ``.hdf5`` or ``.h5md`` for H5MD, ``.xyz`` or ``.extxyz`` for extended XYZ; None keeps frames in memory.
        state: The systems of the batch.
        names: Numbers of the replicas.
        provenance: JSON values that say how the frames were made.
        position: Where to continue (what ``flush`` returned), None for a new file.

    Raises:
        ForcefreeError: If the suffix is unknown, or the file exists and is not to be continued.
    """
    if output is None:
        return MemoryReporter(state, names, provenance)
    kind = H5MDReporter if output.suffix in H5MD else ExtxyzReporter
    return kind(output, state, names, provenance, position)


class H5MDReporter:
    """One H5MD file with a group per replica; what has been flushed can be read even after a kill."""

    def __init__(self, path: Path, state: State, names: Sequence[int], provenance: dict[str, Any], position: dict[str, Any] | None) -> None:
        self.path = path
        self._state, self._names, self._provenance = state, names, provenance
        if position is None:
            self._lengths = [0] * len(names)
            self._writer = StoreWriter(path, attributes={"kind": "simulation", **provenance})
            for template in self._split(Block.empty(state)):
                self._writer.declare(template)
        else:
            self._lengths = list(position["frames"])
            self._writer = StoreWriter(path, resume=True)
            for name, length in zip(names, self._lengths, strict=True):
                self._writer.truncate(f"replica_{name:04d}", length)
        self._writer.begin()

    def append(self, block: Block) -> None:
        """Write frames, replica after replica."""
        for index, trajectory in enumerate(self._split(block)):
            if len(trajectory):
                self._writer.append(trajectory)
                self._lengths[index] += len(trajectory)

    def flush(self) -> dict[str, Any]:
        """Hand everything to the operating system; a continuation begins after these frames."""
        self._writer.flush()
        return {"frames": list(self._lengths)}

    def close(self, notes: dict[int, dict[str, Any]]) -> None:
        """Put the notes into the provenance of the replicas, and close the file."""
        try:
            for index, values in notes.items():
                self._writer.note(f"replica_{self._names[index]:04d}", **values)
        finally:
            self._writer.close()

    def _split(self, block: Block) -> list[Any]:
        return replica_trajectories(self._state, self._names, block, self._provenance)


class ExtxyzReporter:
    """Extended XYZ: the file itself for one replica, ``name-replica_0000.extxyz`` and so on for several."""

    def __init__(self, path: Path, state: State, names: Sequence[int], provenance: dict[str, Any], position: dict[str, Any] | None) -> None:
        self._state, self._names, self._provenance = state, names, provenance
        paths = trajectory_files(path, names)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files = [open_text(p, None if position is None else position["bytes"][i]) for i, p in enumerate(paths)]

    def append(self, block: Block) -> None:
        """Write frames, replica after replica."""
        trajectories = replica_trajectories(self._state, self._names, block, self._provenance)
        for trajectory, file, name in zip(trajectories, self._files, self._names, strict=True):
            atoms = Atoms(trajectory.numbers, cell=trajectory.cell, pbc=trajectory.pbc)
            assert trajectory.velocities is not None
            for time, positions, velocities in zip(trajectory.times, trajectory.positions, trajectory.velocities, strict=True):
                atoms.positions = positions
                atoms.set_velocities(velocities / ASE_FEMTOSECOND)
                atoms.info = {"time": float(time), "replica": name}
                write_extxyz(file, [atoms], columns=["symbols", "positions", "momenta"])

    def flush(self) -> dict[str, Any]:
        """Hand everything to the operating system; a continuation begins after these bytes."""
        for file in self._files:
            file.flush()
        return {"bytes": [file.tell() for file in self._files]}

    def close(self, notes: dict[int, dict[str, Any]]) -> None:  # noqa: ARG002 (this format has no place for them)
        """Close the files."""
        with ExitStack() as stack:
            for file in self._files:
                stack.callback(file.close)


def open_text(path: Path, size: int | None) -> Any:
    """Open a text file for writing: a new one, or an existing one cut back to ``size`` bytes.

    Raises:
        ForcefreeError: If a new file exists already, or one to be continued is missing or too short.
    """
    if size is None:
        if path.exists():
            raise ForcefreeError(f"{path} exists already; choose another output or remove it first")
        return path.open("w", encoding="utf-8")
    found = path.stat().st_size if path.is_file() else 0
    if found < size:
        raise ForcefreeError(f"{path} holds {found} bytes but the checkpoint expects {size}; restore it or start again")
    file = path.open("r+", encoding="utf-8")
    file.truncate(size)
    file.seek(0, os.SEEK_END)
    return file
