"""Which reader a file needs."""

from __future__ import annotations

import zipfile
from pathlib import Path

from forcefree.data.importing.archive import Archive
from forcefree.data.importing.ase_files import read_extxyz, read_traj
from forcefree.data.importing.h5md_files import read_h5md
from forcefree.data.importing.lammps import read_lammps
from forcefree.data.importing.md17 import read_md17, read_md22, read_rmd17
from forcefree.data.importing.mdanalysis import read_binary
from forcefree.data.importing.npz import read_npz
from forcefree.data.importing.source import Reader
from forcefree.errors import ForcefreeError

READERS: dict[str, Reader] = {
    "extxyz": read_extxyz,
    "traj": read_traj,
    "h5md": read_h5md,
    "md17": read_md17,
    "rmd17": read_rmd17,
    "md22": read_md22,
    "npz": read_npz,
    "lammps": read_lammps,
    "xtc": read_binary,
    "dcd": read_binary,
    "trr": read_binary,
}
"""Readers by the name that ``--format`` takes."""

_SUFFIXES = {
    ".xyz": "extxyz",
    ".extxyz": "extxyz",
    ".traj": "traj",
    ".h5": "h5md",
    ".h5md": "h5md",
    ".hdf5": "h5md",
    ".lammpstrj": "lammps",
    ".lammpsdump": "lammps",
    ".dump": "lammps",
    ".xtc": "xtc",
    ".dcd": "dcd",
    ".trr": "trr",
}


def find_format(path: Path, wanted: str = "auto") -> str:
    """Name of the format of a file, by its suffix, its first bytes and, for npz, its arrays.

    Args:
        path: The file.
        wanted: A name of ``READERS``, or ``auto``.

    Raises:
        ForcefreeError: If the file is missing or empty, or its format is unknown or cannot be told.
    """
    if not path.is_file():
        raise ForcefreeError(f"{path} does not exist; give the path of a trajectory")
    if path.stat().st_size == 0:
        raise ForcefreeError(f"{path} is empty; copy or write the trajectory again")
    if wanted != "auto":
        if wanted not in READERS:
            raise ForcefreeError(f"'{wanted}' is not a format; choose one of auto, {', '.join(READERS)}")
        return wanted
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix == ".npz" or zipfile.is_zipfile(path):
        return _npz_format(path)
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    with path.open("rb") as file:
        start = file.read(16)
    for magic, name in ((b"\x89HDF\r\n\x1a\n", "h5md"), (b"ITEM: ", "lammps"), (b"- of Ulm", "traj")):
        if start.startswith(magic):
            return name
    raise ForcefreeError(f"{path} has an unknown format; name it with --format, one of {', '.join(READERS)}")


def _npz_format(path: Path) -> str:
    with Archive(path) as archive:
        if "coords" in archive and "nuclear_charges" in archive:
            return "rmd17"
        if {"pos", "Z"} <= set(archive.keys):
            return "npz"
        if {"E", "F", "R", "z"} <= set(archive.keys):
            told = f"{path.name} {archive.text('name') or ''}".lower()
            for name in ("md22", "md17"):
                if name in told:
                    return name
            raise ForcefreeError(
                f"{path} has the arrays of MD17 and MD22 but its name tells neither; say --format md17 (0.5 fs) or --format md22 (1 fs)"
            )
        raise ForcefreeError(
            f"{path} has the arrays {', '.join(archive.keys)}, which are no layout known here; rename them to Z, pos, vel, forces, energy, cell, time"
        )
