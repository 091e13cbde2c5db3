"""NumPy .npz archives whose members are checked as they are taken out; no pickle is ever loaded."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError


class Archive:
    """An open .npz file.

    Args:
        path: The file.

    Raises:
        ForcefreeError: If it is not a complete .npz archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            loaded = np.load(path, allow_pickle=False)
        except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise ForcefreeError(f"{path} is not a complete npz archive ({error}); download or copy it again") from error
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ForcefreeError(f"{path} holds a bare array, not an npz archive with named members")
        self._members = loaded

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._members.close()

    def __contains__(self, key: str) -> bool:
        return key in self._members.files

    def __getitem__(self, key: str) -> NDArray[Any]:
        if key not in self:
            raise ForcefreeError(f"{self.path} has no array '{key}'; it has {', '.join(self.keys)}")
        try:
            return np.asarray(self._members[key])
        except (OSError, ValueError, zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise ForcefreeError(f"{self.path}: array '{key}' cannot be read ({error}); the file may be damaged or pickled") from error

    @property
    def keys(self) -> list[str]:
        """Names of the arrays."""
        return list(self._members.files)

    def frames(self, key: str, count: int | None = None) -> Floats:
        """Vectors of every atom in every frame, shape (n_frames, n_atoms, 3).

        Raises:
            ForcefreeError: If the shape is another, there are no frames, or not ``count`` of them.
        """
        values = np.asarray(self[key], dtype=np.float64)
        if values.ndim != 3 or values.shape[2] != 3:
            raise ForcefreeError(f"{self.path}: array '{key}' has shape {values.shape}; frames x atoms x 3 is needed")
        if len(values) == 0 or len(values) != (count if count is not None else len(values)):
            raise ForcefreeError(f"{self.path}: array '{key}' has {len(values)} frames; {count or 'at least one'} expected")
        return values

    def scalars(self, key: str, count: int) -> Floats:
        """One number per frame, shape (count,), whatever unit axes the file adds.

        Raises:
            ForcefreeError: If there are not ``count`` numbers.
        """
        values = np.asarray(self[key], dtype=np.float64).reshape(-1)
        if len(values) != count:
            raise ForcefreeError(f"{self.path}: array '{key}' has {len(values)} numbers for {count} frames")
        return values

    def number(self, key: str) -> float:
        """A single number.

        Raises:
            ForcefreeError: If there are more.
        """
        values = np.asarray(self[key], dtype=np.float64)
        if values.size != 1:
            raise ForcefreeError(f"{self.path}: array '{key}' has shape {values.shape}; a single number is needed")
        return float(values.item())

    def numbers(self, key: str) -> NDArray[np.int64]:
        """Atomic numbers, shape (n_atoms,).

        Raises:
            ForcefreeError: If one is not between 1 and 118.
        """
        values = np.asarray(self[key]).reshape(-1).astype(np.int64)
        if len(values) == 0 or values.min() < 1 or values.max() > 118:
            raise ForcefreeError(f"{self.path}: array '{key}' must hold atomic numbers between 1 and 118")
        return values

    def text(self, key: str) -> str | None:
        """A string member such as a unit, or None where there is none."""
        if key not in self:
            return None
        value = self[key].item()
        return value.decode() if isinstance(value, bytes) else str(value)
