"""H5MD files, ours and other programs', streamed block by block."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np

from forcefree.data.h5md import open_store, stored_provenance
from forcefree.data.importing.h5md_layout import Element, is_ours, read_atoms, read_box, read_element
from forcefree.data.importing.source import Block, Source, block_length
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.errors import ForcefreeError


def read_h5md(source: Source) -> Iterator[Block]:
    """Read every group below ``particles`` as one trajectory.

    Potential energies come from ``observables``; they are left out where recorded at other times than the positions.

    Raises:
        ForcefreeError: If the file is not H5MD, is truncated, or leaves units, times or elements unsaid.
    """
    with open_store(source.path) as file:
        for name in file["particles"]:
            try:
                yield from _read_group(file, name, source)
            except (OSError, KeyError, RuntimeError) as error:
                raise ForcefreeError(f"{source.path} cannot be read in 'particles/{name}' ({error}); it may be truncated") from error


def _read_group(file: h5py.File, name: str, source: Source) -> Iterator[Block]:
    group = file[f"particles/{name}"]
    if "position" not in group:
        raise ForcefreeError(f"{source.path} has no positions in 'particles/{name}'; velocities alone make no trajectory")
    position = read_element(group["position"], "length", source)
    velocity = read_element(group["velocity"], "velocity", source) if "velocity" in group else None
    force = read_element(group["force"], "force", source) if "force" in group else None
    energy = _energy(file, name, source)
    images = group.get("image/value")
    numbers, masses = read_atoms(group, source)
    cell, pbc = read_box(group, source)
    template = Trajectory(
        name=name if is_ours(file) else source.path.stem if len(file["particles"]) == 1 else f"{source.path.stem}_{name}",
        numbers=numbers,
        masses=masses,
        times=np.empty(0),
        positions=np.empty((0, len(numbers), 3)),
        cell=cell,
        pbc=pbc,
        provenance={**stored_provenance(group), "format": "h5md"},
    )
    if energy is not None and not _aligned(position, energy):
        energy = None
    for element in (velocity, force):
        if element is not None and not _aligned(position, element):
            noun = element.values.parent.name.rpartition("/")[2]
            raise ForcefreeError(f"{source.path} records '{noun}' at other times than positions; write them at the same steps")
    present = [element for element in (position, velocity, force, energy) if element is not None]
    count = min(len(element.values) for element in present)
    times = _times(position, count, source)
    for start in range(0, count, block_length(len(numbers))):
        stop = min(count, start + block_length(len(numbers)))
        positions = position.rows(start, stop)
        if images is not None:
            positions = positions + np.asarray(images[start:stop], dtype=np.float64) @ cell
        yield Block(
            Trajectory(
                **{
                    **vars(template),
                    "times": times[start:stop],
                    "positions": positions,
                    "velocities": None if velocity is None else velocity.rows(start, stop),
                    "forces": None if force is None else force.rows(start, stop),
                    "energies": None if energy is None else energy.rows(start, stop).reshape(-1),
                }
            ),
            unwrapped=is_ours(file) or images is not None,
            velocity_factor=1.0 if velocity is None else velocity.factor,
        )


def _energy(file: h5py.File, name: str, source: Source) -> Element | None:
    for path in (f"observables/{name}/potential_energy", "observables/potential_energy"):
        if path in file and isinstance(file[path], h5py.Group):
            return read_element(file[path], "energy", source)
    return None


def _aligned(position: Element, other: Element) -> bool:
    """Whether both were recorded at the same times, as far as both go."""
    if position.times is None or other.times is None:
        return len(position.values) == len(other.values)
    shared = min(len(position.times), len(other.times))
    return bool(np.allclose(other.times[:shared], position.times[:shared], rtol=1e-6, atol=1e-6))


def _times(position: Element, count: int, source: Source) -> Floats:
    if position.times is None:
        return source.times(0, count)
    if count > 1:
        source.spacing(float(position.times[1] - position.times[0]))
    return position.times[:count]
