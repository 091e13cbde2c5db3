"""Parts of an H5MD file, ours or another program's, with their units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from forcefree.data.importing.quantities import Kind
from forcefree.data.importing.source import Source, atomic_numbers, same_cell, standard_masses
from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError


@dataclass(frozen=True)
class Element:
    """One time-dependent quantity.

    Attributes:
        values: Dataset with frames along its first axis.
        times: fs, shape (n_frames,), or None where the file stores none.
        factor: From the file's unit to forcefree's.
    """

    values: h5py.Dataset
    times: Floats | None
    factor: float

    def rows(self, start: int, stop: int) -> Any:
        """Frames [start, stop) in forcefree's unit."""
        return np.asarray(self.values[start:stop], dtype=np.float64) * self.factor


def unit_of(node: h5py.HLObject) -> str | None:
    """The unit that H5MD attaches to a dataset, or None."""
    unit = node.attrs.get("unit")
    return unit.decode() if isinstance(unit, bytes) else None if unit is None else str(unit)


def read_element(group: h5py.Group, kind: Kind, source: Source) -> Element:
    """Open an H5MD element (a group of ``value``, ``step`` and perhaps ``time``).

    Raises:
        ForcefreeError: If its unit is neither written nor given.
    """
    values = group["value"]
    written = unit_of(values) or unit_of(group)
    if kind == "force":
        factor = source.force_unit() if written is None else source.unit("force", written=written)
    else:
        factor = source.unit(kind, written=written)
    return Element(values, _times(group, len(values), source), factor)


def _times(group: h5py.Group, count: int, source: Source) -> Floats | None:
    """Times in fs, explicit or, where the file stores an increment, from it."""
    if "time" not in group:
        return None
    node = group["time"]
    factor = source.unit("time", written=unit_of(node) or unit_of(group), usual="fs" if source.options.timestep else None)
    if node.shape == ():
        offset = float(node.attrs.get("offset", 0.0))
        return np.asarray((offset + np.arange(count) * float(node[()])) * factor, dtype=np.float64)
    return np.asarray(node[:count], dtype=np.float64) * factor


def read_box(group: h5py.Group, source: Source) -> tuple[Floats, NDArray[np.bool_]]:
    """The constant cell (rows in Å, shape (3, 3)) and which vectors are periodic (3,).

    Raises:
        ForcefreeError: If the cell changes with time, is not three-dimensional, or is periodic and not there.
    """
    box = group.get("box")
    if box is None:
        return np.zeros((3, 3)), np.zeros(3, dtype=bool)
    boundary = np.atleast_1d(box.attrs.get("boundary", np.array([b"none"] * 3)))
    pbc = np.array([(b.decode() if isinstance(b, bytes) else str(b)) == "periodic" for b in boundary])
    if pbc.shape != (3,):
        raise ForcefreeError(f"{source.path} has a box of {len(pbc)} dimensions; three are needed")
    if "edges" not in box:
        if pbc.any():
            raise ForcefreeError(f"{source.path} says that its box is periodic but not how large it is; add box/edges")
        return np.zeros((3, 3)), pbc
    node = box["edges"]
    varying = isinstance(node, h5py.Group)
    data = node["value"] if varying else node
    unit = unit_of(data) or unit_of(node) or unit_of(group["position/value"])
    edges = np.asarray(data, dtype=np.float64) * source.unit("length", written=unit)
    cells = [np.diag(edge) if edge.ndim == 1 else edge for edge in (edges if varying else [edges])]
    if not cells:
        raise ForcefreeError(f"{source.path} has a box without edges; it may be truncated")
    for cell in cells:
        same_cell(cell, cells[0], pbc, source.path)
    return np.where(pbc[:, None], cells[0], 0.0), pbc


def read_atoms(group: h5py.Group, source: Source) -> tuple[NDArray[np.int64], Floats]:
    """Atomic numbers and masses in amu, shapes (n_atoms,).

    ``species`` counts as atomic numbers in files of ours and where stored masses confirm it; else ``--elements`` is needed.

    Raises:
        ForcefreeError: If nothing says which element each atom is.
    """
    atoms = group["position/value"].shape[1]
    stored = _static(group, "mass", atoms)
    masses = None if stored is None else stored * source.unit("mass", written=unit_of(group["mass"]), usual="amu")
    species, elements = _static(group, "species", atoms), source.options.elements
    if len(elements) == atoms:
        numbers = atomic_numbers(elements, source.path)
    elif elements and species is not None:
        kinds, place = np.unique(species, return_inverse=True)
        if len(kinds) != len(elements):
            raise ForcefreeError(
                f"{source.path} has {len(kinds)} species, but --elements names {len(elements)}; name one each, in increasing order"
            )
        numbers = atomic_numbers(elements, source.path)[place]
    elif species is not None and _are_atomic_numbers(species.astype(np.int64), masses, group):
        numbers = species.astype(np.int64)
    else:
        raise ForcefreeError(f"{source.path} does not say which element each atom is; give --elements, one per species or per atom")
    return numbers, standard_masses(numbers) if masses is None else masses


def _static(group: h5py.Group, name: str, atoms: int) -> Floats | None:
    if name not in group:
        return None
    node = group[name]
    values = np.asarray(node["value"][0] if isinstance(node, h5py.Group) else node[()], dtype=np.float64)
    return values if values.shape == (atoms,) else None


def _are_atomic_numbers(species: NDArray[np.int64], masses: Floats | None, group: h5py.Group) -> bool:
    if species.min() < 1 or species.max() > 118:
        return False
    if is_ours(group.file):
        return True
    return masses is not None and bool((np.abs(masses - standard_masses(species)) < 1.5).all())


def is_ours(file: h5py.File) -> bool:
    """Whether forcefree wrote the file."""
    creator = file.get("h5md/creator")
    name = None if creator is None else creator.attrs.get("name")
    return (name.decode() if isinstance(name, bytes) else name) == "forcefree"
