"""Options of the calculator ``lammps``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from forcefree.settings import Settings


class LammpsOptions(Settings):
    """A potential in LAMMPS' own commands, and which of its atom types, charges and bonds the elements have."""

    elements: list[str] = Field(min_length=1)
    """Symbols of the elements in the order of LAMMPS' atom types; commands may use symbol or number."""

    commands: list[str] = Field(min_length=1)
    """The commands that make the potential: ``pair_style``, ``pair_coeff``, ``kspace_style``, ``bond_style`` and the like. Potential
    files are looked for in the current folder and then among those that LAMMPS brings."""

    units: Literal["metal", "real"] = "metal"
    """Units of the numbers in the commands."""

    charges: dict[str, float] = Field(default_factory=dict)
    """Charge of each element in units of the elementary charge; 0 where left out."""

    bonds: dict[str, float] = Field(default_factory=dict)
    """Pairs of elements such as ``O-H`` in the order of the bond types, each with a distance in Å: what is nearer than that in the
    start structure is bonded for good."""

    angles: list[str] = Field(default_factory=list)
    """Triples of elements such as ``H-O-H``, the centre in the middle, in the order of the angle types: every two bonds of such a centre
    make one."""

    theory: str = "lammps"
    """Name of the potential in stores, model cards and reports, such as ``Tersoff 1989``."""

    @model_validator(mode="after")
    def _known_elements(self) -> LammpsOptions:
        named = [*self.charges, *(part for key in (*self.bonds, *self.angles) for part in key.split("-"))]
        stranger = next((symbol for symbol in named if symbol not in self.elements), None)
        if stranger is not None:
            raise ValueError(f"'{stranger}' is not among the elements {self.elements}")
        for key, size in [*((key, 2) for key in self.bonds), *((key, 3) for key in self.angles)]:
            if len(key.split("-")) != size:
                raise ValueError(f"'{key}' must name {size} elements, such as {'-'.join(['O', 'H', 'O'][:size])}")
        return self
