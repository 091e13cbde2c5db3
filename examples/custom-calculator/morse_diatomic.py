"""A calculator of one's own as the reference: any class that is an ASE calculator will do.

Run in this folder: forcefree reference reference.yaml
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class MorseDiatomic(Calculator):
    """A Morse oscillator between two atoms.

    Args:
        depth: Of the well, eV.
        length: Of the bond at rest, Å.
        width: Inverse width of the well, 1/Å.
        kwargs: Passed on to ASE's ``Calculator``.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, depth: float = 4.6, length: float = 1.275, width: float = 1.87, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.depth, self.length, self.width = depth, length, width

    def calculate(self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        """Energy (eV) and forces (eV/Å) of the two atoms."""
        super().calculate(atoms, properties, system_changes)
        bond = self.atoms.positions[1] - self.atoms.positions[0]
        distance = float(np.linalg.norm(bond))
        decay = np.exp(-self.width * (distance - self.length))
        slope = 2.0 * self.depth * self.width * decay * (1.0 - decay)
        force = slope * bond / distance
        self.results = {"energy": self.depth * (1.0 - decay) ** 2, "forces": np.array([force, -force])}
