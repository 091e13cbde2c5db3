"""What an importer is told, and what a format's reader hands back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from forcefree.data.importing.quantities import Kind, conversion
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.errors import ForcefreeError

_BLOCK_BYTES = 16_000_000
_OPTION: dict[Kind, str] = {"length": "--length-unit", "velocity": "--velocity-unit", "energy": "--energy-unit"}


@dataclass(frozen=True)
class ImportOptions:
    """What the user says about the files.

    Attributes:
        format: One of the names in ``forcefree.data.importing.formats``, or ``auto``.
        topology: File with the elements, for XTC, DCD and TRR.
        timestep: fs between frames; for LAMMPS dumps, of the integrator.
        units: Unit per kind (``length``, ``velocity``, ``energy``) where the user gave one.
        lammps_units: ``real`` or ``metal``.
        elements: Element symbols, per LAMMPS or H5MD type or per atom.
        velocities: ``auto`` keeps recorded ones and derives missing ones; ``derive`` derives all; ``none`` drops all.
        max_temperature: K; hotter velocities are taken for a mix-up of units.
        name: Name of the trajectory, or prefix of several.
    """

    format: str = "auto"
    topology: Path | None = None
    timestep: float | None = None
    units: dict[Kind, str] = field(default_factory=dict)
    lammps_units: Literal["real", "metal"] | None = None
    elements: tuple[str, ...] = ()
    velocities: Literal["auto", "derive", "none"] = "auto"
    max_temperature: float = 10_000.0
    name: str | None = None


@dataclass(frozen=True)
class Source:
    """One file to import, with the options.

    Attributes:
        path: The file.
        options: What the user said.
    """

    path: Path
    options: ImportOptions

    def unit(self, kind: Kind, *, written: str | None = None, usual: str | None = None) -> float:
        """Factor to forcefree's unit of ``kind``.

        Args:
            kind: What is measured.
            written: The unit that the file itself states; the user may only repeat it.
            usual: The unit that the format fixes by convention; the user may overrule it.

        Raises:
            ForcefreeError: If nobody says which unit it is, or the user contradicts the file.
        """
        given = self.options.units.get(kind)
        if written is not None:
            factor = conversion(written, kind)
            if given is not None and not np.isclose(conversion(given, kind), factor, rtol=1e-6):
                raise ForcefreeError(f"{self.path} states that its {kind} unit is {written}, not {given}; leave {_OPTION[kind]} out")
            return factor
        chosen = given or usual
        if chosen is None:
            raise ForcefreeError(f"{self.path} does not say in which unit its {kind} is; give {_OPTION[kind]}")
        return conversion(chosen, kind)

    def refuse_idle_units(self, trajectory: Trajectory) -> None:
        """See that every unit that the user gave is that of something that was read.

        Args:
            trajectory: As read, before velocities are derived or dropped.

        Raises:
            ForcefreeError: Naming the option that changes nothing.
        """
        derived = self.options.velocities != "auto"
        if "velocity" in self.options.units and (derived or trajectory.velocities is None):
            why = f"is imported with --velocities {self.options.velocities}" if derived else "has no velocities"
            raise ForcefreeError(f"{self.path} {why}, so {_OPTION['velocity']} changes nothing; leave it out")
        if "energy" in self.options.units and trajectory.energies is None and trajectory.forces is None:
            raise ForcefreeError(f"{self.path} has neither energies nor forces, so {_OPTION['energy']} changes nothing; leave it out")

    def force_unit(self, *, usual: str | None = None) -> float:
        """Factor to eV/Å: the user's energy unit over the length unit where either is given, else ``usual``."""
        if usual is not None and not {"energy", "length"} & set(self.options.units):
            return conversion(usual, "force")
        return self.unit("energy", usual="eV") / self.unit("length", usual="A")

    def times(self, start: int, count: int, *, spacing: float | None = None) -> Floats:
        """Times of frames ``start`` to ``start + count`` of a file that stores none, shape (count,), fs.

        Args:
            start: Index of the first frame.
            count: How many.
            spacing: fs between frames, where the file or its data set fixes it.

        Raises:
            ForcefreeError: If neither the file nor the user gives a spacing, or they differ.
        """
        return np.asarray((start + np.arange(count)) * self.spacing(spacing), dtype=np.float64)

    def spacing(self, known: float | None = None) -> float:
        """Time between frames in fs, from the file (``known``) or the user; the two must not differ."""
        given = self.options.timestep
        if known is None and given is None:
            raise ForcefreeError(
                f"{self.path} does not say how far apart in time its frames are; give --timestep, such as --timestep '0.5 fs'"
            )
        if known is not None and given is not None and abs(known - given) > 1e-3 * given:
            raise ForcefreeError(f"{self.path} has frames {known:g} fs apart, but --timestep says {given:g} fs; leave --timestep out")
        return float(known if known is not None else given or 0.0)


@dataclass(frozen=True)
class Block:
    """Consecutive frames of one trajectory as a reader returns them.

    Attributes:
        trajectory: Frames in forcefree's units; positions may be wrapped into the cell.
        unwrapped: Positions are known to be continuous already, so nothing may be moved.
        spacing: fs between neighbouring frames where frames are known to be missing; None where the times tell.
        velocity_factor: Factor that turned the file's velocities into Å/fs, to name the likely unit when they are absurd.
    """

    trajectory: Trajectory
    unwrapped: bool = False
    spacing: float | None = None
    velocity_factor: float = 1.0


Reader = Callable[[Source], Iterator[Block]]
"""Yields the blocks of each trajectory of a file in order of time."""


def block_length(atoms: int) -> int:
    """Frames of ``atoms`` atoms that are held in memory at once."""
    return max(4, _BLOCK_BYTES // (24 * max(atoms, 1)))


def atomic_numbers(symbols: NDArray[Any] | list[str] | tuple[str, ...], source: Path) -> NDArray[np.int64]:
    """Atomic numbers of element symbols, shape (n_atoms,).

    Raises:
        ForcefreeError: If a symbol is not an element's.
    """
    from ase.data import atomic_numbers as table

    numbers = [table.get(str(symbol).strip().capitalize(), 0) for symbol in symbols]
    if 0 in numbers:
        bad = str(symbols[numbers.index(0)]).strip()
        raise ForcefreeError(f"{source} has an atom whose element '{bad}' is unknown; give real element symbols with --elements")
    return np.array(numbers, dtype=np.int64)


def standard_masses(numbers: NDArray[np.int64]) -> Floats:
    """ASE's standard atomic masses in amu, shape (n_atoms,)."""
    from ase.data import atomic_masses

    return np.asarray(atomic_masses, dtype=np.float64)[numbers]


def same_cell(found: Floats, first: Floats, pbc: NDArray[np.bool_], source: Path) -> None:
    """Refuse a cell that changes along the trajectory in a periodic direction; rows are cell vectors in Å, shape (3, 3).

    Raises:
        ForcefreeError: If it changes by more than single precision explains.
    """
    if not np.allclose(found[pbc], first[pbc], rtol=1e-5, atol=1e-4):
        row = int(np.abs(found - first)[pbc].max(axis=1).argmax())
        before, after = (np.linalg.norm(cell[pbc][row]) for cell in (first, found))
        raise ForcefreeError(
            f"{source} has a cell that changes (a vector from {before:.4f} to {after:.4f} Å); import a run at constant volume"
        )
