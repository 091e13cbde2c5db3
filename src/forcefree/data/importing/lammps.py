"""LAMMPS text dumps (``dump custom``), streamed; units real or metal, image flags and unwrapped coordinates honoured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from forcefree.data.importing.frames import Frame, gather
from forcefree.data.importing.lammps_box import Box, read_box
from forcefree.data.importing.quantities import conversion
from forcefree.data.importing.source import Block, Source, atomic_numbers
from forcefree.data.importing.text import open_text
from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError

_VELOCITY: Final = {"real": "A/fs", "metal": "A/ps"}
_FORCE: Final = {"real": "kcal/mol/A", "metal": "eV/A"}
_TIME: Final = {"real": "fs", "metal": "ps"}


@dataclass(frozen=True)
class _Snapshot:
    """What one frame of the file says, in its own units; rows of ``table`` are atoms, columns are named."""

    step: int
    time: float | None
    units: str | None
    box: Box
    columns: list[str]
    table: NDArray[np.str_]

    def has(self, *names: str) -> bool:
        """Whether all these columns are there."""
        return all(name in self.columns for name in names)

    def values(self, *names: str) -> Floats:
        """The numbers of these columns, shape (n_atoms, n_names)."""
        return self.table[:, [self.columns.index(name) for name in names]].astype(np.float64)


def read_lammps(source: Source) -> Iterator[Block]:
    """Read a text dump with the columns id, element or type, and x, xs, xu or xsu; optionally ix, vx, fx and mass.

    Times are ``ITEM: TIME`` where the dump has it, else the step count times ``--timestep``, the integrator's time step.

    Raises:
        ForcefreeError: If units, times or elements are unknown, or the file is truncated.
    """
    first = next(_snapshots(source.path), None)
    if first is None:
        raise ForcefreeError(f"{source.path} holds no frames; it may be empty or truncated")
    style = _style(first, source)
    unwrapped = first.has("xu", "yu", "zu") or first.has("xsu", "ysu", "zsu") or first.has("ix", "iy", "iz")
    for trajectory in gather(_frames(source, style), source, _stem(source.path), format="lammps", lammps_units=style):
        yield Block(trajectory, unwrapped=unwrapped, velocity_factor=source.unit("velocity", usual=_VELOCITY[style]))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def _style(first: _Snapshot, source: Source) -> str:
    given, written = source.options.lammps_units, first.units
    if written is not None and given is not None and written != given:
        raise ForcefreeError(f"{source.path} states units {written}, not {given}; leave --units out")
    style = given or written
    if style is None:
        raise ForcefreeError(f"{source.path} is a LAMMPS dump that does not state its units; give --units real or --units metal")
    if style not in _VELOCITY:
        raise ForcefreeError(f"{source.path} is in LAMMPS units {style}; only real and metal can be imported")
    return style


def _frames(source: Source, style: str) -> Iterator[Frame]:
    for index, snapshot in enumerate(_snapshots(source.path)):
        try:
            yield _frame(snapshot, source, style)
        except ForcefreeError:
            raise
        except ValueError as error:
            raise ForcefreeError(f"{source.path} has a column that is not of numbers in frame {index} ({error}); mend the dump") from error


def _frame(snapshot: _Snapshot, source: Source, style: str) -> Frame:
    if not snapshot.has("id"):
        raise ForcefreeError(f"{source.path} has no atom ids, and LAMMPS changes the order of atoms; dump the column id too")
    table = snapshot.table[np.argsort(snapshot.values("id")[:, 0], kind="stable")]
    rows = _Snapshot(snapshot.step, snapshot.time, snapshot.units, snapshot.box, snapshot.columns, table)
    time = rows.step * source.options.timestep if rows.time is None and source.options.timestep is not None else None
    if rows.time is not None:
        time = rows.time * conversion(_TIME[style], "time")
    if time is None:
        raise ForcefreeError(f"{source.path} counts steps but does not say how long one is; give the integrator's step with --timestep")
    length = source.unit("length", usual="A")
    velocity, force = source.unit("velocity", usual=_VELOCITY[style]), source.force_unit(usual=_FORCE[style])
    return Frame(
        numbers=_numbers(rows, source),
        positions=_positions(rows, source.path) * length,
        cell=rows.box.cell * length,
        pbc=rows.box.pbc,
        time=time,
        masses=rows.values("mass")[:, 0] if rows.has("mass") else None,
        velocities=rows.values("vx", "vy", "vz") * velocity if rows.has("vx", "vy", "vz") else None,
        forces=rows.values("fx", "fy", "fz") * force if rows.has("fx", "fy", "fz") else None,
    )


def _positions(rows: _Snapshot, path: Path) -> Floats:
    """Å, shape (n_atoms, 3); unwrapped where the columns allow it."""
    for suffix, scaled in (("u", False), ("su", True), ("", False), ("s", True)):
        names = tuple(axis + suffix for axis in "xyz")
        if rows.has(*names):
            values = rows.values(*names)
            positions = rows.box.origin + values @ rows.box.cell if scaled else values
            if suffix in ("", "s") and rows.has("ix", "iy", "iz"):
                positions = positions + rows.values("ix", "iy", "iz") @ rows.box.cell
            return positions
    raise ForcefreeError(f"{path} has no columns x y z, xs ys zs, xu yu zu or xsu ysu zsu; dump one of these sets")


def _numbers(rows: _Snapshot, source: Source) -> NDArray[np.int64]:
    elements = source.options.elements
    if rows.has("element"):
        return atomic_numbers(rows.table[:, rows.columns.index("element")], source.path)
    if not rows.has("type") or not elements:
        raise ForcefreeError(f"{source.path} does not name the elements; say which element each atom type is, such as --elements Si,O")
    types = rows.values("type")[:, 0].astype(np.int64)
    if types.min() < 1:
        raise ForcefreeError(f"{source.path} has atom type {types.min()}; atom types of LAMMPS count from 1")
    if types.max() > len(elements):
        raise ForcefreeError(f"{source.path} has atom type {types.max()}, but --elements names only {len(elements)}; name one per type")
    return atomic_numbers(elements, source.path)[types - 1]


def _snapshots(path: Path) -> Iterator[_Snapshot]:
    with open_text(path) as file:
        yield from _parse(file, path)


def _parse(file: TextIO, path: Path) -> Iterator[_Snapshot]:
    step, time, units, count, box, index = -1, None, None, -1, None, 0
    while line := file.readline():
        item = line.strip()
        try:
            if item == "ITEM: UNITS":
                units = file.readline().strip()
            elif item == "ITEM: TIME":
                time = float(file.readline())
            elif item == "ITEM: TIMESTEP":
                step = int(file.readline())
            elif item == "ITEM: NUMBER OF ATOMS":
                count = int(file.readline())
            elif item.startswith("ITEM: BOX BOUNDS"):
                box = read_box(item.split()[3:], [file.readline() for _ in range(3)])
            elif item.startswith("ITEM: ATOMS") and box is not None:
                columns = item.split()[2:]
                table = np.array([file.readline().split() for _ in range(count)], dtype=np.str_)
                if table.shape != (count, len(columns)):
                    raise ValueError("a line of atoms is cut short")
                yield _Snapshot(step, time, units, box, columns, table)
                index += 1
            elif item:
                raise ValueError(f"'{item[:40]}' is not expected here")
        except ValueError as error:
            raise ForcefreeError(f"{path} cannot be read as a LAMMPS dump in frame {index} ({error}); is it complete?") from error
