"""Extended XYZ and ASE's .traj files, read through ASE frame by frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.io import iread

from forcefree.data.importing.frames import Frame, gather
from forcefree.data.importing.source import Block, Source
from forcefree.data.importing.text import check_xyz
from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError
from forcefree.reference.starts import reading_failure
from forcefree.units import ASE_FEMTOSECOND

_VELOCITY_COLUMNS = ("velocities", "velocity", "vel", "velo")


def read_extxyz(source: Source) -> Iterator[Block]:
    """Read extended XYZ: momenta in ASE's unit, other velocity columns in ``--velocity-unit``, the key ``time`` in fs.

    Raises:
        ForcefreeError: If it is truncated or a unit or the time is unknown.
    """
    check_xyz(source.path)
    yield from _read(source, "extxyz")


def read_traj(source: Source) -> Iterator[Block]:
    """Read an ASE .traj file, in ASE's units; the time between frames comes from the user.

    Raises:
        ForcefreeError: If it is truncated or the time is unknown.
    """
    yield from _read(source, "traj")


def _read(source: Source, kind: str) -> Iterator[Block]:
    velocity_factor = ASE_FEMTOSECOND if "velocity" not in source.options.units else source.unit("velocity")
    for trajectory in gather(_frames(source, kind), source, source.path.stem, format=kind):
        if len(trajectory) > 1:
            source.spacing(float(trajectory.times[1] - trajectory.times[0]))
        yield Block(trajectory, velocity_factor=velocity_factor)


def _frames(source: Source, kind: str) -> Iterator[Frame]:
    images = iread(source.path, index=":", format=kind)
    index = 0
    while True:
        try:
            atoms = next(images, None)
        except Exception as error:  # ASE's readers raise whatever their parsers meet
            reason = reading_failure(error)
            raise ForcefreeError(f"{source.path} cannot be read as {kind} at frame {index} ({reason}); is it complete?") from error
        if atoms is None:
            return
        yield _frame(atoms, source)
        index += 1


def _frame(atoms: Atoms, source: Source) -> Frame:
    length = source.unit("length", usual="A")
    results = atoms.calc.results if atoms.calc is not None else {}
    energy, forces = results.get("energy"), results.get("forces")
    return Frame(
        numbers=atoms.numbers.astype(np.int64),
        positions=atoms.positions * length,
        cell=np.asarray(atoms.cell.array, dtype=np.float64) * length,
        pbc=np.asarray(atoms.pbc, dtype=bool),
        time=_time(atoms, source),
        masses=atoms.get_masses(),
        velocities=_velocities(atoms, source),
        forces=None if forces is None else np.asarray(forces) * source.force_unit(usual="eV/A"),
        energy=None if energy is None else float(energy) * source.unit("energy", usual="eV"),
    )


def _time(atoms: Atoms, source: Source) -> float | None:
    written = next((atoms.info[key] for key in ("time", "Time") if key in atoms.info), None)
    try:
        return None if written is None else float(written)
    except (TypeError, ValueError) as error:
        raise ForcefreeError(f"{source.path} has the time '{written}' where a number of fs is needed") from error


def _velocities(atoms: Atoms, source: Source) -> Floats | None:
    """Å/fs, shape (n_atoms, 3), from momenta or from a column of velocities."""
    if atoms.has("momenta"):
        return np.asarray(atoms.get_velocities() * source.unit("velocity", usual="ase"))
    for column in _VELOCITY_COLUMNS:
        if column in atoms.arrays and source.options.velocities == "auto":
            return np.asarray(atoms.arrays[column], dtype=np.float64) * source.unit("velocity")
    return None
