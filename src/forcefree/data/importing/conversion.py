"""From foreign files to one store: read, unwrap, derive, check and write, a block at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from forcefree.data.checks import check_overlaps
from forcefree.data.h5md import StoreWriter, check_suffix
from forcefree.data.importing.checks import Plausibility
from forcefree.data.importing.formats import READERS, find_format
from forcefree.data.importing.source import Block, ImportOptions, Source
from forcefree.data.trajectory import Trajectory
from forcefree.data.unwrap import Unwrapper
from forcefree.data.velocities import CentralDifferences
from forcefree.errors import ForcefreeError

Progress = Callable[[Path, int], None]
"""Called with the file being read and the number of frames written from it."""


def import_trajectories(sources: Sequence[Path], output: Path, options: ImportOptions, progress: Progress | None = None) -> Path:
    """Turn trajectories of other programs into a store; it appears under its name only when it is complete.

    Args:
        sources: Files, each of one or more trajectories.
        output: H5MD file to create.
        options: What the user says about the files.
        progress: Told after every block.

    Returns:
        The path of the store.

    Raises:
        ForcefreeError: If the output exists or is not named as an H5MD file, a file is unreadable, ambiguous or implausible, or a
            unit is given for what it lacks.
        OSError: If the disk is full.
    """
    if output.exists():
        raise ForcefreeError(f"{output} exists already; choose another output or remove it first")
    check_suffix(output)
    if not sources:
        raise ForcefreeError("nothing to import; give at least one trajectory file")
    formats = [find_format(path, options.format) for path in sources]
    if options.lammps_units is not None and "lammps" not in formats:
        raise ForcefreeError(f"--units is for LAMMPS dumps, and {sources[0]} is read as {formats[0]}; leave it out")
    partial = output.with_name(output.name + ".partial")
    partial.unlink(missing_ok=True)
    used: set[str] = set()
    try:
        with StoreWriter(partial, attributes={"kind": "import", "sources": [path.name for path in sources]}) as writer:
            for path, kind in zip(sources, formats, strict=True):
                _import_file(Source(path, options), kind, writer, used, progress)
        os.replace(partial, output)
    finally:
        partial.unlink(missing_ok=True)
    return output


def _import_file(source: Source, kind: str, writer: StoreWriter, used: set[str], progress: Progress | None) -> None:
    done = 0
    blocks = READERS[kind](source)
    for name, group in groupby(blocks, key=lambda block: block.trajectory.name):
        work = _Work(source, _free_name(source, name, used), group)
        for trajectory in work.blocks():
            if work.frames == 0:
                writer.declare(trajectory)
            writer.append(trajectory)
            work.frames += len(trajectory)
            done += len(trajectory)
            if progress is not None:
                progress(source.path, done)
        work.verify()
        writer.note(work.name, **work.notes())
    if done == 0:
        raise ForcefreeError(f"{source.path} holds no frames; it may be empty or truncated")


def _free_name(source: Source, name: str, used: set[str]) -> str:
    base = (source.options.name or name).replace("/", "_")
    candidate, number = base, 1
    while candidate in used:
        candidate, number = f"{base}_{number:04d}", number + 1
    used.add(candidate)
    return candidate


@dataclass
class _Work:
    """One trajectory on its way into the store."""

    source: Source
    name: str
    group: Iterator[Block]
    frames: int = 0
    checks: Plausibility | None = None

    def blocks(self) -> Iterator[Trajectory]:
        """Blocks ready to be written."""
        options = self.source.options
        unwrapper: Unwrapper | None = None
        derive: CentralDifferences | None = None
        last = -np.inf
        for block in self.group:
            trajectory = self._sound(replace(block.trajectory, name=self.name))
            if trajectory.times[0] <= last:
                raise ForcefreeError(
                    f"{self.source.path} goes back in time at {trajectory.times[0]:g} fs; remove frames that are written twice"
                )
            last = trajectory.times[-1]
            if self.checks is None:
                self.source.refuse_idle_units(trajectory)
                derived = options.velocities == "derive" or (options.velocities == "auto" and trajectory.velocities is None)
                self.checks = Plausibility(
                    self.source.path, derived=derived, factor=block.velocity_factor, max_temperature=options.max_temperature
                )
                unwrapper = None if block.unwrapped else Unwrapper(trajectory.cell, trajectory.pbc)
                derive = CentralDifferences(block.spacing) if derived else None
            trajectory = self._unwrapped(trajectory, unwrapper)
            if derive is not None:
                trajectory = derive(replace(trajectory, velocities=None))
            elif options.velocities == "none":
                trajectory = replace(trajectory, velocities=None)
            trajectory = replace(trajectory, provenance=self._provenance(block.trajectory, trajectory))
            self.checks.add(trajectory)
            if len(trajectory):
                self.checks.verify()
                yield trajectory

    def verify(self) -> None:
        """Judge the whole trajectory."""
        path = self.source.path
        if self.frames == 0:
            raise ForcefreeError(
                f"{path} has no frame with both neighbours in time, so no velocity can be derived; import positions alone with --velocities none"
            )
        if self.checks is not None:
            self.checks.verify()

    def notes(self) -> dict[str, Any]:
        """What was measured on the way, for the provenance."""
        if self.checks is None or not self.checks.temperature:
            return {}
        notes: dict[str, Any] = {"mean_temperature": self.checks.temperature}
        if self.checks.loss is not None:
            notes["velocities_kinetic_loss"] = self.checks.loss
        return notes

    def _sound(self, trajectory: Trajectory) -> Trajectory:
        for noun in ("times", "positions", "velocities", "energies", "forces"):
            values = getattr(trajectory, noun)
            if values is not None and not bool(np.isfinite(values).all()):
                frame = int(np.argwhere(~np.isfinite(values))[0][0])
                raise ForcefreeError(
                    f"{self.source.path} has {noun} that are not finite numbers, first at {trajectory.times[frame]:g} fs; cut the file before"
                )
        masses = trajectory.masses
        if not bool((np.isfinite(masses) & (masses > 0.0)).all()):
            atom = int(np.flatnonzero(~(np.isfinite(masses) & (masses > 0.0)))[0])
            raise ForcefreeError(f"{self.source.path} has an atom of mass {masses[atom]:g} amu (atom {atom}); masses are positive")
        try:
            check_overlaps(trajectory)
        except ForcefreeError as error:
            raise ForcefreeError(f"{self.source.path}: {error}") from error
        return trajectory

    def _unwrapped(self, trajectory: Trajectory, unwrapper: Unwrapper | None) -> Trajectory:
        if unwrapper is None:
            return trajectory
        try:
            return replace(trajectory, positions=unwrapper(trajectory.positions, trajectory.times))
        except ForcefreeError as error:
            raise ForcefreeError(f"{self.source.path}: {error}") from error

    def _provenance(self, read: Trajectory, ready: Trajectory) -> dict[str, Any]:
        provenance = {**read.provenance, "source": self.source.path.name}
        if ready.velocities is None:
            return {**provenance, "velocities": "none"}
        derived = self.checks is not None and self.checks.derived
        return {**provenance, "velocities": "central differences" if derived else provenance.get("velocities", "recorded")}
