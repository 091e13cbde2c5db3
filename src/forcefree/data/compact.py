"""A small copy of a store, for references that travel with the package."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import h5py

from forcefree.data.h5md import open_store
from forcefree.errors import ForcefreeError

FOR_ANALYSIS: Final[Mapping[str, int]] = {"position": 3, "velocity": 5}
"""Decimals of Å and Å/fs far below what a distribution or a spectrum resolves."""

FOR_TRAINING: Final[Mapping[str, int]] = {"position": 5, "velocity": 6}
"""Decimals of Å and Å/fs that no forecast of some femtoseconds can tell from exact ones."""


def compact_copy(
    source: Path,
    target: Path,
    *,
    stride: int = 1,
    start: int = 0,
    stop: int | None = None,
    runs: slice | None = None,
    digits: Mapping[str, int] = FOR_ANALYSIS,
) -> Path:
    """Copy a store with every ``stride``-th frame, rounded and compressed.

    Energies and times are exact, forces are left out. Any HDF5 reads the copy like the original.

    Args:
        source: H5MD store.
        target: File to write; it appears only when it is complete.
        stride: Frames per kept frame.
        start: First frame that is kept.
        stop: First frame at the end that is not kept, None to keep all.
        runs: Which trajectories are kept, None for all.
        digits: Decimals of ``position`` and ``velocity``.

    Returns:
        The target.

    Raises:
        ForcefreeError: If the target exists, the source does not or cannot be read, or no trajectory or frame would be kept.
    """
    if target.exists():
        raise ForcefreeError(f"{target} exists already; choose another output or remove it first")
    partial = target.with_name(target.name + ".partial")
    frames = slice(start, stop, stride)
    with open_store(source) as old:
        names = list(old["particles"])[runs or slice(None)]
        if not names or not all(len(range(len(old[f"particles/{name}/position/time"]))[frames]) for name in names):
            raise ForcefreeError(
                f"nothing of {source} would be kept; it has {len(old['particles'])} trajectories, choose among those and their frames"
            )
        with h5py.File(partial, "w", libver="latest") as new:
            for name, value in old.attrs.items():
                new.attrs[name] = value
            old.copy("h5md", new)
            for path in (f"{parent}/{name}" for parent in ("particles", "observables") for name in names):
                if path in old:
                    _copy_group(old[path], new.require_group(path), frames, digits)
    os.replace(partial, target)
    return target


def _copy_group(old: h5py.Group, new: h5py.Group, frames: slice, digits: Mapping[str, int]) -> None:
    for name, value in old.attrs.items():
        new.attrs[name] = value
    for name, item in old.items():
        if name == "force":
            continue
        if isinstance(item, h5py.Group) and "value" not in item:
            _copy_group(item, new.create_group(name), frames, digits)
        elif isinstance(item, h5py.Group):
            element = new.create_group(name)
            for part in ("step", "time", "value"):
                _copy_dataset(item[part], element, part, digits.get(name) if part == "value" else None, frames)
        else:
            old.copy(name, new)


def _copy_dataset(old: h5py.Dataset, parent: h5py.Group, name: str, digits: int | None, frames: slice) -> None:
    values = old[frames]
    kept = {"data": values, "chunks": True, "shuffle": True, "compression": "gzip"}
    if digits is not None:
        kept |= {"scaleoffset": digits, "chunks": (min(len(values), 512), *values.shape[1:])}
        kept["data"] = values.round(digits).astype("f4" if digits <= 3 else "f8")
    dataset = parent.create_dataset(name, **kept)
    for key, value in old.attrs.items():
        dataset.attrs[key] = value
