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

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.units import KJ_PER_MOL

_UNITS = {"position": "Angstrom", "velocity": "Angstrom fs-1", "force": "kJ mol-1 Angstrom-1"}
_CHUNK_BYTES = 65536


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
            self._file = h5py.File(path, "r+", libver="latest")
            return
        if path.exists():
            raise ForcefreeError(f"{path} exists already; choose another output or remove it first")
        path.parent.mkdir(parents=True, exist_ok=True)
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
            edges = box.create_dataset("edges", data=template.cell)
            edges.attrs["unit"] = "Angstrom"
        group["species"] = template.numbers
        group["mass"] = template.masses
        group["mass"].attrs["unit"] = "amu"
        group.attrs["provenance"] = json.dumps(template.provenance)
        present = {"position": True, "velocity": template.velocities is not None, "force": template.forces is not None}
        for element, wanted in present.items():
            if wanted:
                kind = "f4" if element == "force" else "f8"
                self._element(group, element, (frames, atoms, 3), kind).attrs["unit"] = _UNITS[element]
        if template.energies is not None:
            observable = self._file.require_group(f"observables/{template.name}")
            self._element(observable, "potential_energy", (max(frames, 128),), "f8").attrs["unit"] = "eV"

    def begin(self) -> None:
        """Enter single-writer mode: from here on every flush leaves a readable file, and nothing can be declared."""
        self._file.flush()
        self._file.swmr_mode = True

    def append(self, trajectory: Trajectory) -> None:
        """Append the frames of ``trajectory`` to the group of the same name."""
        group = self._file[f"particles/{trajectory.name}"]
        values: dict[str, NDArray[Any] | None] = {
            "position": trajectory.positions,
            "velocity": trajectory.velocities,
            "force": None if trajectory.forces is None else trajectory.forces / KJ_PER_MOL,
        }
        for element, value in values.items():
            if value is not None and element in group:
                _extend(group[element], trajectory.times, value)
        if trajectory.energies is not None:
            _extend(self._file[f"observables/{trajectory.name}/potential_energy"], trajectory.times, trajectory.energies)

    def truncate(self, name: str, frames: int) -> None:
        """Cut trajectory ``name`` back to its first ``frames`` frames.

        Raises:
            ForcefreeError: If the file holds fewer frames than that.
        """
        for parent in ("particles", "observables"):
            if name not in self._file.get(parent, {}):
                continue
            for element in self._file[f"{parent}/{name}"].values():
                if isinstance(element, h5py.Group) and "value" in element:
                    if element["value"].shape[0] < frames:
                        raise ForcefreeError(
                            f"{self.path} holds {element['value'].shape[0]} frames of {name} but the checkpoint expects {frames}; "
                            "restore the trajectory or start again"
                        )
                    for dataset in ("value", "step", "time"):
                        element[dataset].resize(frames, axis=0)

    def length(self, name: str) -> int:
        """Number of complete frames of trajectory ``name``, over all its datasets."""
        lengths = [
            element[dataset].shape[0]
            for parent in ("particles", "observables")
            if name in self._file.get(parent, {})
            for element in self._file[f"{parent}/{name}"].values()
            if isinstance(element, h5py.Group) and "value" in element
            for dataset in ("value", "step", "time")
        ]
        return min(lengths)

    def note(self, name: str, **values: Any) -> None:
        """Add JSON values to the provenance of trajectory ``name``; not allowed after ``begin``."""
        group = self._file[f"particles/{name}"]
        group.attrs["provenance"] = json.dumps({**json.loads(group.attrs["provenance"]), **values})

    def flush(self) -> None:
        """Hand everything appended so far to the operating system."""
        self._file.flush()

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


def repair(path: Path) -> None:
    """Make a file that a killed writer left behind writable again; a healthy file is left untouched.

    Raises:
        ForcefreeError: If the file does not exist or nothing in it can be read.
    """
    if not path.exists():
        raise ForcefreeError(f"{path} does not exist, so there is nothing to continue")
    try:
        h5py.File(path, "r+", libver="latest").close()
    except OSError:
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


def trajectory_names(path: Path) -> list[str]:
    """Names of the trajectories in a store, in order."""
    with _open(path) as file:
        return list(file["particles"])


def store_attributes(path: Path) -> dict[str, Any]:
    """The JSON values stored for the whole file."""
    with _open(path) as file:
        loaded: dict[str, Any] = json.loads(file.attrs.get("forcefree", "{}"))
        return loaded


def read_store(path: Path, names: Iterable[str] | None = None) -> Iterator[Trajectory]:
    """Read trajectories one after another.

    Args:
        path: H5MD file.
        names: Which trajectories; all when not given.

    Yields:
        Trajectories of at least one frame, in the order of ``names``.

    Raises:
        ForcefreeError: If the file is missing, is not H5MD, or lacks a trajectory asked for.
    """
    with _open(path) as file:
        for name in list(names) if names is not None else list(file["particles"]):
            if name not in file["particles"]:
                raise ForcefreeError(f"{path} has no trajectory '{name}'; it has {', '.join(list(file['particles'])[:5])}")
            trajectory = _read(file, name)
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


def _open(path: Path) -> h5py.File:
    if not path.exists():
        raise ForcefreeError(f"{path} does not exist; give the path of an H5MD trajectory")
    try:
        try:
            file = h5py.File(path, "r", libver="latest")
        except OSError:
            file = h5py.File(path, "r", libver="latest", swmr=True)
    except OSError as error:
        raise ForcefreeError(f"{path} cannot be read as HDF5 ({error}); it may be truncated or of another format") from error
    if "particles" not in file or not len(file["particles"]):
        file.close()
        raise ForcefreeError(f"{path} is HDF5 but has no 'particles' group; an H5MD trajectory is needed")
    return file


def _read(file: h5py.File, name: str) -> Trajectory:
    group = file[f"particles/{name}"]
    observable = file.get(f"observables/{name}/potential_energy")
    elements = [group[key] for key in ("position", "velocity", "force") if key in group]
    elements += [observable] if observable is not None else []
    frames = min(e["value"].shape[0] for e in elements)
    periodic = "edges" in group["box"]
    return Trajectory(
        name=name,
        numbers=np.asarray(group["species"], dtype=np.int64),
        masses=np.asarray(group["mass"], dtype=np.float64),
        times=np.asarray(group["position/time"][:frames], dtype=np.float64),
        positions=np.asarray(group["position/value"][:frames], dtype=np.float64),
        velocities=np.asarray(group["velocity/value"][:frames], dtype=np.float64) if "velocity" in group else None,
        forces=np.asarray(group["force/value"][:frames], dtype=np.float64) * KJ_PER_MOL if "force" in group else None,
        energies=np.asarray(observable["value"][:frames], dtype=np.float64) if observable is not None else None,
        cell=np.asarray(group["box/edges"], dtype=np.float64) if periodic else np.zeros((3, 3)),
        pbc=np.array([value == b"periodic" for value in group["box"].attrs["boundary"]]),
        provenance=json.loads(group.attrs.get("provenance", "{}")),
    )
