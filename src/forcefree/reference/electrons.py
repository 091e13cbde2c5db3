"""The electrons of a system: its charge and how many are unpaired, which atoms and their positions alone do not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from forcefree.errors import ForcefreeError


@dataclass(frozen=True)
class Electrons:
    """What a calculator of electrons must know; what its own options say goes before this.

    Attributes:
        charge: Of the whole system, in units of the elementary charge.
        unpaired: Unpaired electrons of the whole system, the multiplicity less one.
    """

    charge: float = 0.0
    unpaired: float = 0.0

    @classmethod
    def of(cls, atoms: Atoms) -> Electrons:
        """From the initial charges and magnetic moments of a structure, where ASE keeps them."""
        return cls(float(atoms.get_initial_charges().sum()), float(atoms.get_initial_magnetic_moments().sum()))

    @classmethod
    def stored(cls, provenance: Mapping[str, Any], source: str) -> Electrons:
        """From what a trajectory says of itself; a neutral singlet where it says nothing.

        Args:
            provenance: Of the trajectory.
            source: Name used in the error message.

        Raises:
            ForcefreeError: If a value is not a finite number.
        """
        values = [provenance.get(key, 0.0) for key in ("charge", "unpaired_electrons")]
        for value in values:
            if not isinstance(value, (int, float)) or not np.isfinite(value):
                raise ForcefreeError(f"the charge and unpaired electrons in {source} must be numbers, not {value!r}")
        return cls(*map(float, values))

    def provenance(self) -> dict[str, float]:
        """What is stored with a trajectory."""
        return {"charge": self.charge, "unpaired_electrons": self.unpaired}

    def attach(self, atoms: Atoms) -> None:
        """Give a structure these electrons, spread evenly; calculators take the sums."""
        for total, give in ((self.charge, atoms.set_initial_charges), (self.unpaired, atoms.set_initial_magnetic_moments)):
            if total:
                give(np.full(len(atoms), total / len(atoms)))


NEUTRAL = Electrons()
"""No charge, all electrons paired."""
