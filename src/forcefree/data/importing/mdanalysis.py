"""XTC, DCD and TRR with a topology, read through MDAnalysis frame by frame."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forcefree.data.importing.frames import Frame, gather
from forcefree.data.importing.source import Block, Source, atomic_numbers, standard_masses
from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError
from forcefree.units import KJ_PER_MOL

_PS = 1e3


def read_binary(source: Source) -> Iterator[Block]:
    """Read an XTC, DCD or TRR file; MDAnalysis gives Å, ps, Å/ps and kJ/mol/Å.

    Times are the file's own; ``--timestep`` replaces them, since many programs write a wrong one into DCD headers.

    Raises:
        ForcefreeError: If there is no topology, it does not match or names no elements, or the file is truncated.
    """
    if source.options.units:
        raise ForcefreeError(
            f"{source.path} is of a format that fixes its units; leave {' and '.join(f'--{k}-unit' for k in source.options.units)} out"
        )
    universe = _universe(source)
    numbers, masses = _atoms(universe, source)
    suffix = source.path.suffix.lstrip(".").lower()
    for trajectory in gather(_frames(universe, source, numbers, masses), source, source.path.stem, format=suffix):
        yield Block(trajectory, velocity_factor=1.0 / _PS)


def _universe(source: Source) -> Any:
    import MDAnalysis

    topology = source.options.topology
    if topology is None:
        raise ForcefreeError(f"{source.path} holds coordinates without elements; give a structure of the same atoms with --topology")
    if not topology.is_file():
        raise ForcefreeError(f"topology {topology} does not exist")
    with warnings.catch_warnings(), _quiet_destructors():
        warnings.simplefilter("ignore")
        try:
            return MDAnalysis.Universe(str(topology), str(source.path), to_guess=())
        except Exception as error:  # MDAnalysis' parsers raise whatever they meet
            reason = " ".join(str(error).split())
    raise ForcefreeError(f"{source.path} cannot be read with topology {topology} ({reason}); do they belong together?")


@contextmanager
def _quiet_destructors() -> Iterator[None]:
    """Readers of MDAnalysis that could not be made complain on the screen once more when they are destroyed."""
    usual, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    finally:
        gc.collect()
        sys.unraisablehook = usual


def _atoms(universe: Any, source: Source) -> tuple[NDArray[np.int64], Floats]:
    """Atomic numbers and masses in amu, shapes (n_atoms,)."""
    atoms, elements = universe.atoms, source.options.elements
    if elements:
        if len(elements) != len(atoms):
            raise ForcefreeError(f"--elements names {len(elements)} elements, but {source.path} has {len(atoms)} atoms; name one per atom")
        return _with_masses(atomic_numbers(elements, source.path))
    recorded = np.asarray(atoms.masses, dtype=np.float64) if hasattr(atoms, "masses") else None
    if hasattr(atoms, "elements") and all(str(element).strip() for element in atoms.elements):
        numbers = atomic_numbers(atoms.elements, source.path)
    elif recorded is not None:
        numbers = _elements_by_mass(recorded, source)
    else:
        raise ForcefreeError(
            f"topology {source.options.topology} names no elements; use a PDB with element columns, a PSF or TPR, or give --elements, one per atom"
        )
    return _with_masses(numbers, recorded)


def _with_masses(numbers: NDArray[np.int64], recorded: Floats | None = None) -> tuple[NDArray[np.int64], Floats]:
    usable = recorded is not None and bool(np.isfinite(recorded).all() and (recorded > 0.0).all())
    return numbers, recorded if usable and recorded is not None else standard_masses(numbers)


def _elements_by_mass(masses: Floats, source: Source) -> NDArray[np.int64]:
    table = standard_masses(np.arange(1, 119))
    nearest = np.abs(masses[:, None] - table).argmin(axis=1)
    off = np.abs(masses - table[nearest])
    if not bool((off < 0.1).all()):
        atom = int(off.argmax())
        raise ForcefreeError(
            f"topology {source.options.topology} names no elements and atom {atom} weighs {masses[atom]:g} amu; give --elements, one per atom"
        )
    return np.asarray(nearest + 1, dtype=np.int64)


def _frames(universe: Any, source: Source, numbers: NDArray[np.int64], masses: Floats) -> Iterator[Frame]:
    reader = universe.trajectory
    given = source.options.timestep
    grid = None if given is not None else _grid(reader)
    for index in range(len(reader)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                step = reader[index]
        except (OSError, EOFError, ValueError, RuntimeError) as error:
            raise ForcefreeError(f"{source.path} cannot be read at frame {index} ({error}); it may be truncated") from error
        cell = np.zeros((3, 3)) if step.dimensions is None else np.asarray(step.triclinic_dimensions, dtype=np.float64)
        yield Frame(
            numbers=numbers,
            positions=step.positions.astype(np.float64),
            cell=cell,
            pbc=np.full(3, bool(cell.any())),
            time=_time(step, index, grid, given, source),
            masses=masses,
            velocities=step.velocities.astype(np.float64) / _PS if step.has_velocities else None,
            forces=step.forces.astype(np.float64) * KJ_PER_MOL if step.has_forces else None,
        )


def _grid(reader: Any) -> tuple[float, float]:
    """First time and spacing in ps, the spacing averaged over all frames since single precision blurs each."""
    count = len(reader)
    first = float(reader[0].time)
    last = float(reader[-1].time) if count > 1 else first
    spacing = (last - first) / max(1, count - 1)
    return first, float(f"{spacing:.6g}")


def _time(step: Any, index: int, grid: tuple[float, float] | None, given: float | None, source: Source) -> float:
    """fs; snapped to equal spacing where the file's single precision allows it."""
    if grid is None:
        return index * float(given or 0.0)
    first, spacing = grid
    if index > 0 and not spacing > 0.0:
        raise ForcefreeError(f"{source.path} has frames {spacing * _PS:g} fs apart; give the true spacing with --timestep")
    regular = first + index * spacing
    close = abs(step.time - regular) <= 1e-6 * abs(regular) + 0.01 * spacing
    return _PS * (regular if close else float(step.time))
