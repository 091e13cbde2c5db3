"""The store: one H5MD file with a ``particles`` group per trajectory, readable by MDAnalysis.

Files are written in HDF5's single-writer mode, so a killed writer leaves a file whose flushed frames can all be read.
The layout follows H5MD 1.1 (de Buyl, Colberg, Höfling, Comput. Phys. Commun. 185, 1546, 2014). Forces are stored in
kJ/mol/Å because that is a unit MDAnalysis knows; everything else is in forcefree's own units.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from forcefree.data.room import Room
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.units import KJ_PER_MOL

_UNITS = {"position": "Angstrom", "velocity": "Angstrom fs-1", "force": "kJ mol-1 Angstrom-1"}
_CHUNK_BYTES = 65536
_SIGNATURE = b"\x89HDF\r\n\x1a\n"

SUFFIXES = (".h5", ".hdf5", ".h5md")
"""What the name of a store ends in."""


class StoreWriter:
    """Append frames of several trajectories to one H5MD file.

    All trajectories are declared first; then frames are appended and flushed. With ``resume=True`` an existing file is
    reopened and cut back to the number of frames that the caller's checkpoint knows of.

    Args:
        path: File to create or reopen.
        resume: Continue an existing file instead of creating one.
        attributes: JSON values stored once for the whole file.

    Raises:
        ForcefreeError: If the file exists and ``resume`` is not set, or cannot be opened.
    """

    def __init__(self, path: Path, *, resume: bool = False, attributes: Mapping[str, Any] | None = None) -> None:
        self.path = path
        if resume:
            repair(path)
            self._room = Room(path)
            self._file = _open_to_append(path)
            return
        if path.exists():
            raise ForcefreeError(f"{path} exists already; choose another output or remove it first")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._room = Room(path)
        self._room.take(0)
        self._file = h5py.File(path, "w", libver="latest")
        header = self._file.create_group("h5md")
        header.attrs["version"] = np.array([1, 1])
        for role, name in (("author", "forcefree user"), ("creator", "forcefree")):
            header.create_group(role).attrs["name"] = name
        header["creator"].attrs["version"] = "1"
        self._file.attrs["forcefree"] = json.dumps(dict(attributes or {}))

    def declare(self, template: Trajectory, *, chunk_frames: int | None = None) -> None:
        """Create the datasets of one trajectory, sized after ``template`` (its frames are not written).

        Args:
            template: Names, atoms, cell and which of velocities, energies and forces there will be.
            chunk_frames: Frames per HDF5 chunk; about 64 KiB worth when not given.
        """
        atoms = len(template.numbers)
        frames = chunk_frames or max(1, min(512, _CHUNK_BYTES // (24 * atoms)))
        group = self._file.create_group(f"particles/{template.name}")
        box = group.create_group("box")
        box.attrs["dimension"] = 3
        box.attrs["boundary"] = np.array(["periodic" if p else "none" for p in template.pbc], dtype="S8")
        if template.pbc.any():
            self._element(box, "edges", (max(frames, 128), 3, 3), "f8").attrs["unit"] = "Angstrom"
        group["species"] = template.numbers
        group["mass"] = template.masses
        group["mass"].attrs["unit"] = "amu"
        group.attrs["provenance"] = json.dumps(template.provenance)
        group.create_dataset("notes", (0,), "u1", maxshape=(None,), chunks=(256,))
        present = {"position": True, "velocity": template.velocities is not None, "force": template.forces is not None}
        for element, wanted in present.items():
            if wanted:
                kind = "f4" if element == "force" else "f8"
                self._element(group, element, (frames, atoms, 3), kind).attrs["unit"] = _UNITS[element]
        if template.energies is not None:
            observable = self._file.require_group(f"observables/{template.name}")
            self._element(observable, "potential_energy", (max(frames, 128),), "f8").attrs["unit"] = "eV"

    def begin(self) -> None:
        """Enter single-writer mode: from here on every flush leaves a readable file, and nothing can be declared.

        A writer that resumes is in this mode from the start.
        """
        if not self._file.swmr_mode:
            self._file.flush()
            self._file.swmr_mode = True

    def append(self, trajectory: Trajectory) -> None:
        """Append the frames of ``trajectory`` to the group of the same name.

        Raises:
            OSError: If the disk does not take them; what was flushed before stays readable.
        """
        self._room.take(8 * len(trajectory) * (9 * len(trajectory.numbers) + 20) + 6 * _CHUNK_BYTES)
        group = self._file[f"particles/{trajectory.name}"]
        values: dict[str, NDArray[Any] | None] = {
            "position": trajectory.positions,
            "velocity": trajectory.velocities,
            "force": None if trajectory.forces is None else trajectory.forces / KJ_PER_MOL,
        }
        for element, value in values.items():
            if value is not None and element in group:
                _extend(group[element], trajectory.times, value)
        if isinstance(group["box"].get("edges"), h5py.Group):
            _extend(group["box/edges"], trajectory.times, np.broadcast_to(trajectory.cell, (len(trajectory), 3, 3)))
        if trajectory.energies is not None:
            _extend(self._file[f"observables/{trajectory.name}/potential_energy"], trajectory.times, trajectory.energies)

    def truncate(self, name: str, frames: int) -> None:
        """Cut trajectory ``name`` back to its first ``frames`` frames.

        Raises:
            ForcefreeError: If the file holds fewer frames than that.
        """
        held = self.length(name)
        if held < frames:
            raise ForcefreeError(
                f"{self.path} holds {held} frames of {name} but the checkpoint expects {frames}; restore the trajectory or start again"
            )
        for element in self._elements(name):
            for dataset in ("value", "step", "time"):
                element[dataset].resize(frames, axis=0)

    def length(self, name: str) -> int:
        """Number of complete frames of trajectory ``name``, over all its datasets.

        Raises:
            ForcefreeError: If the file has no such trajectory.
        """
        elements = self._elements(name)
        if not elements:
            raise ForcefreeError(f"{self.path} has no trajectory '{name}'; restore the file or start again")
        return min(int(element[dataset].shape[0]) for element in elements for dataset in ("value", "step", "time"))

    def _elements(self, name: str) -> list[h5py.Group]:
        """The groups of trajectory ``name`` that grow with every frame."""
        parents = (f"particles/{name}", f"particles/{name}/box", f"observables/{name}")
        members = [member for parent in parents if parent in self._file for member in self._file[parent].values()]
        return [member for member in members if isinstance(member, h5py.Group) and "value" in member]

    def note(self, name: str, **values: Any) -> None:
        """Add JSON values to the provenance of trajectory ``name``, at any time."""
        notes = self._file[f"particles/{name}/notes"]
        merged = json.dumps({**stored_provenance(self._file[f"particles/{name}"]), **values}).encode()
        notes.resize(len(merged), axis=0)
        notes[:] = np.frombuffer(merged, dtype=np.uint8)

    def flush(self) -> None:
        """Hand everything appended so far to the operating system.

        Raises:
            OSError: If the disk does not take it.
        """
        self._file.flush()
        self._room.settle()

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @staticmethod
    def _element(parent: h5py.Group, name: str, chunk: tuple[int, ...], kind: str) -> h5py.Dataset:
        group = parent.create_group(name)
        rows = chunk[0]
        group.create_dataset("step", (0,), "i8", maxshape=(None,), chunks=(max(rows, 128),))
        group.create_dataset("time", (0,), "f8", maxshape=(None,), chunks=(max(rows, 128),)).attrs["unit"] = "fs"
        return group.create_dataset("value", (0, *chunk[1:]), kind, maxshape=(None, *chunk[1:]), chunks=chunk)


def _extend(element: h5py.Group, times: NDArray[np.float64], values: NDArray[Any]) -> None:
    old = element["value"].shape[0]
    new = old + len(times)
    for name, rows in (("value", values), ("time", times), ("step", np.arange(old, new))):
        element[name].resize(new, axis=0)
        element[name][old:new] = rows


def _open_to_append(path: Path) -> h5py.File:
    """Open in single-writer mode at once, which leaves no moment in which a kill makes the file unreadable."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    return h5py.File(h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDWR | h5py.h5f.ACC_SWMR_WRITE, fapl=access))


def repair(path: Path) -> None:
    """Make a file that a killed writer left behind writable again; a healthy file is left untouched.

    Raises:
        ForcefreeError: If the file does not exist or nothing in it can be read.
    """
    if not path.exists():
        raise ForcefreeError(f"{path} does not exist, so there is nothing to continue")
    _whole(path)
    try:
        _open_to_append(path).close()
    except (OSError, RuntimeError):
        rescued = path.with_name(path.name + ".rescue")
        try:
            with h5py.File(path, "r", libver="latest", swmr=True) as old, h5py.File(rescued, "w", libver="latest") as new:
                for name in old:
                    old.copy(name, new)
                new.attrs.update(old.attrs)
        except (OSError, KeyError, RuntimeError) as error:
            rescued.unlink(missing_ok=True)
            raise ForcefreeError(f"{path} is not a readable H5MD file ({error}); it may be truncated, restore or remake it") from error
        os.replace(rescued, path)


def check_suffix(path: Path) -> None:
    """See that a file to be made is named as the H5MD file that it will be.

    Raises:
        ForcefreeError: If its name ends in anything but one of ``SUFFIXES``.
    """
    if path.suffix not in SUFFIXES:
        raise ForcefreeError(f"output {path} would be an H5MD file but is not named as one; give it a name such as {path.stem}.h5")


def trajectory_names(path: Path) -> list[str]:
    """Names of the trajectories in a store, in order."""
    with open_store(path) as file:
        return list(file["particles"])


def store_attributes(path: Path) -> dict[str, Any]:
    """The JSON values stored for the whole file."""
    with open_store(path) as file:
        loaded: dict[str, Any] = json.loads(file.attrs.get("forcefree", "{}"))
        return loaded


def read_store(path: Path, names: Iterable[str] | None = None, *, last: int | None = None) -> Iterator[Trajectory]:
    """Read trajectories one after another.

    Args:
        path: H5MD file.
        names: Which trajectories; all when not given.
        last: How many frames, counted from the end; all when not given.

    Yields:
        Trajectories of at least one frame, in the order of ``names``.

    Raises:
        ForcefreeError: If the file is missing, is not H5MD, or lacks a trajectory asked for.
    """
    with open_store(path) as file:
        for name in list(names) if names is not None else list(file["particles"]):
            if name not in file["particles"]:
                raise ForcefreeError(f"{path} has no trajectory '{name}'; it has {', '.join(list(file['particles'])[:5])}")
            try:
                trajectory = _read(file, name, last)
            except KeyError as error:
                raise ForcefreeError(
                    f"{path} was not written by forcefree ('{name}' lacks a part: {error.args[0]}); convert it with forcefree import"
                ) from error
            except (OSError, RuntimeError) as error:
                raise ForcefreeError(f"{path} cannot be read in '{name}' ({error}); it may be truncated, restore or remake it") from error
            if len(trajectory):
                yield trajectory


def write_store(path: Path, trajectories: Iterable[Trajectory], attributes: Mapping[str, Any] | None = None) -> None:
    """Write whole trajectories to a new store; the file appears under its name only when it is complete."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with StoreWriter(partial, attributes=attributes) as writer:
        for trajectory in trajectories:
            writer.declare(trajectory)
            writer.append(trajectory)
    os.replace(partial, path)


def open_store(path: Path) -> h5py.File:
    """Open an H5MD file for reading, also one that is being written or whose writer was killed.

    Raises:
        ForcefreeError: If the file is missing, truncated, or not H5MD.
    """
    if not path.is_file():
        raise ForcefreeError(f"{path} does not exist; give the path of an H5MD trajectory")
    _whole(path)
    try:
        try:
            file = h5py.File(path, "r", libver="latest")
        except (OSError, RuntimeError):
            file = h5py.File(path, "r", libver="latest", swmr=True)
    except (OSError, RuntimeError) as error:
        raise ForcefreeError(f"{path} cannot be read as HDF5 ({error}); it may be truncated or of another format") from error
    if "particles" not in file or not len(file["particles"]):
        file.close()
        raise ForcefreeError(f"{path} is HDF5 but has no 'particles' group; an H5MD trajectory is needed")
    return file


def _whole(path: Path) -> None:
    """Refuse a file shorter than its own superblock says, in which HDF5's single-writer mode would search for minutes."""
    with path.open("rb") as file:
        start = file.read(48)
    if len(start) < 48:
        raise ForcefreeError(f"{path} is truncated ({len(start)} bytes); copy or make it again")
    if start.startswith(_SIGNATURE) and start[8] in (2, 3) and start[9] == 8:
        size, expected = path.stat().st_size, int.from_bytes(start[28:36], "little")
        if size < expected:
            raise ForcefreeError(f"{path} is truncated ({size} of {expected} bytes); copy or make it again")


def _read(file: h5py.File, name: str, last: int | None) -> Trajectory:
    group = file[f"particles/{name}"]
    observable = file.get(f"observables/{name}/potential_energy")
    elements = [group[key] for key in ("position", "velocity", "force") if key in group]
    elements += [observable] if observable is not None else []
    frames = min(e[dataset].shape[0] for e in elements for dataset in ("value", "time"))
    rows = slice(0 if last is None else max(0, frames - last), frames)
    return Trajectory(
        name=name,
        numbers=np.asarray(group["species"], dtype=np.int64),
        masses=np.asarray(group["mass"], dtype=np.float64),
        times=np.asarray(group["position/time"][rows], dtype=np.float64),
        positions=np.asarray(group["position/value"][rows], dtype=np.float64),
        velocities=np.asarray(group["velocity/value"][rows], dtype=np.float64) if "velocity" in group else None,
        forces=np.asarray(group["force/value"][rows], dtype=np.float64) * KJ_PER_MOL if "force" in group else None,
        energies=np.asarray(observable["value"][rows], dtype=np.float64) if observable is not None else None,
        cell=_cell(group["box"]),
        pbc=np.array([value == b"periodic" for value in group["box"].attrs["boundary"]]),
        provenance=stored_provenance(group),
    )


def _cell(box: h5py.Group) -> NDArray[np.float64]:
    """The cell of the first frame, since a trajectory has one; files of the first layout hold it as one matrix."""
    if "edges" not in box:
        return np.zeros((3, 3))
    if isinstance(box["edges"], h5py.Dataset):
        return np.asarray(box["edges"], dtype=np.float64)
    edges = box["edges/value"]
    return np.asarray(edges[0], dtype=np.float64) if len(edges) else np.zeros((3, 3))


def stored_provenance(group: h5py.Group) -> dict[str, Any]:
    """Plain JSON values of one ``particles`` group: what was known when it was declared, replaced by the notes since, unless a kill cut those short."""
    written = bytes(group["notes"][()]) if "notes" in group else b""
    try:
        loaded: dict[str, Any] = json.loads(written)
    except ValueError:
        loaded = json.loads(group.attrs.get("provenance", "{}"))
    return loaded
