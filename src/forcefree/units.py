"""Å, fs, eV, amu and K are the only units inside forcefree; conversions live at the edge, here."""

from __future__ import annotations

import re
from typing import Final

from ase import units as ase_units

from forcefree.errors import ForcefreeError

BOLTZMANN: Final = float(ase_units.kB)
"""eV / K (CODATA value that ASE carries)."""

KINETIC_UNIT: Final = float(1.0 / ase_units.fs**2)
"""amu Å^2 / fs^2 in eV."""

ASE_FEMTOSECOND: Final = float(ase_units.fs)
"""One fs in ASE's unit of time; an ASE velocity times this is Å/fs."""

KJ_PER_MOL: Final = float(ase_units.kJ / ase_units.mol)
"""One kJ/mol in eV."""

KCAL_PER_MOL: Final = float(ase_units.kcal / ase_units.mol)
"""One kcal/mol in eV."""

PICOSECOND: Final = 1e-3
"""One fs in ps."""

NANOMETRE: Final = 0.1
"""One Å in nm."""

WAVENUMBER_PER_INVERSE_FS: Final = 1.0e15 / 2.99792458e10
"""One cycle per fs in cm^-1."""

_FEMTOSECONDS: Final = {"as": 1e-3, "fs": 1.0, "ps": 1e3, "ns": 1e6, "us": 1e9}
_DURATION: Final = re.compile(r"\s*([0-9.]+(?:[eE][-+]?[0-9]+)?)\s*([a-z]+)\s*")


def femtoseconds(duration: str | float, *, or_none: bool = False) -> float:
    """Read a duration such as ``"10 ps"``, ``"1ns"`` or a plain number of fs.

    Args:
        duration: Text with one of the units as, fs, ps, ns, us, or a number in fs.
        or_none: Take zero too, such as ``0`` or ``"0 ps"``.

    Returns:
        The duration in fs, positive and finite.

    Raises:
        ForcefreeError: If the text is not a positive number with a known unit.
    """
    if isinstance(duration, (int, float)):
        value = float(duration)
    else:
        found = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
        number = _number(found[1]) if found else None
        if found is None or found[2] not in _FEMTOSECONDS or number is None:
            raise ForcefreeError(f"'{duration}' is not a duration; write a number and a unit, such as 500fs, 50ps or 1ns")
        value = number * _FEMTOSECONDS[found[2]]
    if or_none and value == 0.0:
        return 0.0
    if not 0.0 < value < float("inf"):
        raise ForcefreeError(f"a duration must be positive and finite, not {duration}")
    return value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
