"""Units as people and files write them (``kcal/mol``, ``Angstrom ps-1``), turned into factors to Å, fs, eV and amu."""

from __future__ import annotations

import re
from typing import Final, Literal

from ase import units as ase_units

from forcefree.errors import ForcefreeError
from forcefree.units import ASE_FEMTOSECOND

Kind = Literal["length", "time", "velocity", "energy", "force", "mass"]
"""What a unit measures."""

_Dimensions = tuple[int, int, int, int, int]

_DIMENSIONS: Final[dict[Kind, _Dimensions]] = {  # powers of length, time, energy, mass and amount of substance
    "length": (1, 0, 0, 0, 0),
    "time": (0, 1, 0, 0, 0),
    "velocity": (1, -1, 0, 0, 0),
    "energy": (0, 0, 1, 0, 0),
    "force": (-1, 0, 1, 0, 0),
    "mass": (0, 0, 0, 1, 0),
}

_ATOMIC_TIME: Final = float(ase_units._aut * 1e15)
_MOL: Final = float(ase_units.mol)

_SYMBOLS: Final[dict[str, tuple[float, _Dimensions]]] = {
    **dict.fromkeys(("A", "Å", "Ang", "ang", "Angstrom", "angstrom", "Angstroms"), (1.0, (1, 0, 0, 0, 0))),
    **dict.fromkeys(("bohr", "Bohr", "a0"), (float(ase_units.Bohr), (1, 0, 0, 0, 0))),
    "nm": (10.0, (1, 0, 0, 0, 0)),
    "pm": (0.01, (1, 0, 0, 0, 0)),
    "m": (1e10, (1, 0, 0, 0, 0)),
    "fs": (1.0, (0, 1, 0, 0, 0)),
    "ps": (1e3, (0, 1, 0, 0, 0)),
    "ns": (1e6, (0, 1, 0, 0, 0)),
    **dict.fromkeys(("s", "sec", "second"), (1e15, (0, 1, 0, 0, 0))),
    "aut": (_ATOMIC_TIME, (0, 1, 0, 0, 0)),
    "eV": (1.0, (0, 0, 1, 0, 0)),
    "meV": (1e-3, (0, 0, 1, 0, 0)),
    **dict.fromkeys(("hartree", "Hartree", "Ha", "Eh"), (float(ase_units.Hartree), (0, 0, 1, 0, 0))),
    **dict.fromkeys(("Ry", "rydberg", "Rydberg"), (float(ase_units.Rydberg), (0, 0, 1, 0, 0))),
    "kcal": (float(ase_units.kcal), (0, 0, 1, 0, 1)),
    "kJ": (float(ase_units.kJ), (0, 0, 1, 0, 1)),
    "mol": (_MOL, (0, 0, 0, 0, 1)),
    **dict.fromkeys(("amu", "u", "Da"), (1.0, (0, 0, 0, 1, 0))),
    "g": (_MOL, (0, 0, 0, 1, 1)),
}

_EXAMPLES: Final[dict[Kind, str]] = {
    "length": "A, nm or bohr",
    "time": "fs or ps",
    "velocity": "A/fs, A/ps, nm/ps, m/s, bohr/aut or ase",
    "energy": "eV, kcal/mol, kJ/mol or hartree",
    "force": "eV/A, kcal/mol/A or kJ mol-1 nm-1",
    "mass": "amu",
}

_FACTOR: Final = re.compile(r"\s*(/?)\s*([A-Za-zÅ0]+?0?)\s*\^?([+-]?\d+)?(?=$|[\s/])")


def conversion(unit: str, kind: Kind) -> float:
    """Factor that turns a number in ``unit`` into Å, fs, Å/fs, eV, eV/Å or amu.

    Args:
        unit: Factors separated by spaces, ``*`` or ``/``, with integer powers (H5MD's ``kJ mol-1 nm-1`` or ``kJ/mol/nm``);
            for a velocity also ``ase``, Å per ASE's unit of time.
        kind: What is measured; kJ and kcal count as energies only per mol.

    Returns:
        The factor.

    Raises:
        ForcefreeError: If a symbol is unknown or the unit measures something else.
    """
    if kind == "velocity" and unit.strip().lower() == "ase":
        return ASE_FEMTOSECOND
    text = unit.strip().replace("\u212b", "Å").replace("*", " ").replace("·", " ")
    text = re.sub(r"/\s*\(([^()]*)\)", lambda found: "/" + "/".join(found[1].split()), text)
    value, powers, position = 1.0, [0] * 5, 0
    while position < len(text):
        found = _FACTOR.match(text, position)
        if found is None or found[2] not in _SYMBOLS:
            raise ForcefreeError(f"'{unit}' is not a unit of {kind}; write for example {_EXAMPLES[kind]}")
        factor, dimensions = _SYMBOLS[found[2]]
        power = int(found[3] or 1) * (-1 if found[1] else 1)
        value *= factor**power
        powers = [total + power * part for total, part in zip(powers, dimensions, strict=True)]
        position = found.end()
    if tuple(powers) != _DIMENSIONS[kind]:
        raise ForcefreeError(f"'{unit}' is not a unit of {kind}; write for example {_EXAMPLES[kind]}")
    return value


def likely_velocity_unit(ratio: float, current: float, *, tolerance: float = 0.15) -> str | None:
    """The common velocity unit that numbers are in, when reading them in another one made them wrong by a known ratio.

    Args:
        ratio: True velocity over the velocity obtained so far.
        current: Factor to Å/fs that was used so far.
        tolerance: Largest relative deviation accepted.

    Returns:
        The unit whose factor is nearest to ``ratio * current``, or None if none fits within ``tolerance``.
    """
    for name in ("A/fs", "A/ps", "nm/ps", "ase", "m/s", "bohr/aut", "nm/fs"):
        if abs(ratio * current / conversion(name, "velocity") - 1.0) < tolerance:
            return name
    return None
