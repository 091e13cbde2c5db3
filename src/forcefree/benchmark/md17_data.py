"""MD17 trajectories as the protocol sees them: heavy atoms, and velocities from differences of frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ase.data import atomic_masses
from numpy.typing import NDArray
from torch import Tensor

from forcefree.data.importing.archive import Archive
from forcefree.data.importing.md17 import MD17_SPACING
from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError
from forcefree.state import State


@dataclass(frozen=True)
class HeavyTrajectory:
    """The heavy atoms of one molecule.

    Attributes:
        name: Such as ``ethanol``.
        surrogate: How a surrogate was made, or None for a published file.
        numbers: Atomic numbers, shape (n_atoms,).
        positions: Å, float32, frames 0.5 fs apart, shape (n_frames, n_atoms, 3).
    """

    name: str
    surrogate: str | None
    numbers: NDArray[np.int64]
    positions: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def label(self) -> str:
        """What rows of a table call it; numbers found on a surrogate are not to be taken for others."""
        return self.name if self.surrogate is None else f"{self.name} (surrogate)"

    def start_state(self, starts: NDArray[np.int64]) -> State:
        """Frames ``starts`` as a batch; velocities are forward differences, as published, which look one frame ahead.

        Args:
            starts: Frame of each system, shape (n_systems,).
        """
        count, atoms = len(starts), len(self.numbers)
        here, ahead = (self.positions[starts + offset].reshape(-1, 3).astype(np.float64) for offset in (0, 1))
        return State(
            positions=torch.from_numpy(here),
            velocities=torch.from_numpy((ahead - here) / MD17_SPACING),
            numbers=torch.from_numpy(np.tile(self.numbers, count)),
            masses=torch.from_numpy(np.tile(atomic_masses[self.numbers], count)),
            cell=torch.zeros(count, 3, 3, dtype=torch.float64),
            pbc=torch.zeros(count, 3, dtype=torch.bool),
            system=torch.arange(count).repeat_interleave(atoms),
            time=torch.zeros(count, dtype=torch.float64),
        )

    def targets(self, starts: NDArray[np.int64], offsets: NDArray[np.int64]) -> Tensor:
        """Positions ``offsets`` (n_systems, n_times) frames after the starts, Å, shape (n_times, n_systems * n_atoms, 3)."""
        chosen = self.positions[(starts[:, None] + offsets).T].astype(np.float64)
        return torch.from_numpy(chosen.reshape(len(chosen), -1, 3))


def read_md17(path: Path) -> tuple[NDArray[np.int64], Floats, str | None]:
    """Read an MD17 file ``md17_NAME.npz`` with keys ``R`` and ``z``, published or surrogate.

    Returns:
        Atomic numbers (n_atoms,), positions in Å (n_frames, n_atoms, 3), and what a surrogate was made with.

    Raises:
        ForcefreeError: If the file is missing, damaged or of another form.
    """
    if not path.is_file():
        raise ForcefreeError(f"MD17 file {path} does not exist; get it from www.sgdml.org, or make a surrogate with md17-surrogate")
    with Archive(path) as file:
        if "R" not in file or "z" not in file:
            raise ForcefreeError(f"{path} is not an MD17 file: it has no keys R and z (revised MD17 is not in order of time)")
        numbers, positions = file.numbers("z"), file.frames("R")
        surrogate = file.text("surrogate")
    if positions.shape[1] != len(numbers) or not bool(np.isfinite(positions).all()):
        raise ForcefreeError(f"{path} is damaged: positions of shape {positions.shape} for {len(numbers)} atoms, or not finite")
    return numbers, positions, surrogate


def read_heavy(path: Path) -> HeavyTrajectory:
    """The heavy atoms of an MD17 file, see :func:`read_md17`."""
    numbers, positions, surrogate = read_md17(path)
    heavy = numbers > 1
    centred = positions[:, heavy] - positions[0].mean(axis=0)
    return HeavyTrajectory(path.stem.removeprefix("md17_"), surrogate, numbers[heavy], centred.astype(np.float32))


def find_molecules(folder: Path, names: list[str]) -> list[Path]:
    """The files of the molecules asked for, or all MD17 files of a folder where none is named.

    Raises:
        ForcefreeError: If the folder has none.
    """
    found = [folder / f"md17_{name}.npz" for name in names] or sorted(folder.glob("md17_*.npz"))
    if not found:
        raise ForcefreeError(f"{folder} has no file md17_NAME.npz; make surrogates with: forcefree benchmark md17-surrogate")
    return found
