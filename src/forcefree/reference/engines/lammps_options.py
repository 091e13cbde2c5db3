"""Options of the calculator ``lammps``."""

from __future__ import annotations

from typing import Literal

from ase.data import chemical_symbols
from pydantic import Field, field_validator, model_validator

from forcefree.settings import Settings

_USABLE = (
    *(f"{kind}_{what}" for kind in ("pair", "bond", "angle", "dihedral", "improper") for what in ("style", "coeff")),
    *("pair_modify", "kspace_style", "kspace_modify", "special_bonds", "dielectric", "set", "neighbor", "neigh_modify"),
)
"""Commands that make a potential and touch neither the motion nor the structure."""


class LammpsOptions(Settings):
    """A potential in LAMMPS' own commands, and which of its atom types, charges and bonds the elements have."""

    elements: list[str] = Field(min_length=1)
    """Symbols of the elements in the order of LAMMPS' atom types; commands may use symbol or number."""

    commands: list[str] = Field(min_length=1)
    """The commands that make the potential: ``pair_style``, ``pair_coeff``, ``kspace_style``, ``bond_style`` and the like, and
    ``fix ... qeq/...`` where charges are equilibrated; no others. Potential files are looked for in the current folder and then
    among those that LAMMPS brings."""

    units: Literal["metal", "real"] = "metal"
    """Units of the numbers in the commands."""

    charges: dict[str, float] = Field(default_factory=dict)
    """Charge of each element in units of the elementary charge: of all elements, or of none."""

    bonds: dict[str, float] = Field(default_factory=dict)
    """Pairs of elements such as ``O-H`` in the order of the bond types, each with a distance in Å: what is nearer than that in the
    start structure is bonded for good."""

    angles: list[str] = Field(default_factory=list)
    """Triples of elements such as ``H-O-H``, the centre in the middle, in the order of the angle types: every two bonds of such a centre
    make one."""

    theory: str = "lammps"
    """Name of the potential in stores, model cards and reports, such as ``Tersoff 1989``."""

    @field_validator("elements")
    @classmethod
    def _chemical(cls, elements: list[str]) -> list[str]:
        wrong = next((symbol for symbol in elements if symbol not in chemical_symbols[1:]), None)
        if wrong is not None:
            raise ValueError(f"'{wrong}' is not the symbol of an element, such as Ar")
        twice = next((symbol for symbol in elements if elements.count(symbol) > 1), None)
        if twice is not None:
            raise ValueError(f"'{twice}' is listed twice; each element has one atom type")
        return elements

    @field_validator("commands")
    @classmethod
    def _potential_only(cls, commands: list[str]) -> list[str]:
        for line in commands:
            words = line.partition("#")[0].split()
            equilibrates_charges = words[:1] == ["fix"] and any(word.startswith(("qeq/", "acks2/")) for word in words[3:4])
            if words and words[0] not in _USABLE and not equilibrates_charges:
                raise ValueError(
                    f"'{line}' is no part of a potential; structure, masses, integrator and thermostats are set by forcefree, "
                    f"usable are {', '.join(_USABLE)} and fix ... qeq/..."
                )
        return commands

    @model_validator(mode="after")
    def _known_elements(self) -> LammpsOptions:
        named = [*self.charges, *(part for key in (*self.bonds, *self.angles) for part in key.split("-"))]
        stranger = next((symbol for symbol in named if symbol not in self.elements), None)
        if stranger is not None:
            raise ValueError(f"'{stranger}' is not among the elements {self.elements}")
        silent = [symbol for symbol in self.elements if symbol not in self.charges]
        if self.charges and silent:
            raise ValueError(f"charges leave out {', '.join(silent)}; give every element one, 0 where it has none")
        for key, size in [*((key, 2) for key in self.bonds), *((key, 3) for key in self.angles)]:
            if len(key.split("-")) != size:
                raise ValueError(f"'{key}' must name {size} elements, such as {'-'.join(['O', 'H', 'O'][:size])}")
        return self
