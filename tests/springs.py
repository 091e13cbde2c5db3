"""A cheap calculator of somebody else: springs between all atoms, with the misbehaviour that tests need."""

from __future__ import annotations

import os
import signal
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class Springs(Calculator):
    """Harmonic springs of one rest length between all pairs.

    Args:
        stiffness: eV/Å^2.
        length: Å.
        memory: Strength of a term that depends on how often this object was called before, as a starting guess would.
        raise_after: Raise an exception of its own at this call.
        die_after: Kill the process at this call, as a crash in compiled code would.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(
        self, stiffness: float = 5.0, length: float = 1.5, memory: float = 0.0, raise_after: int = 0, die_after: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.stiffness, self.length, self.memory = stiffness, length, memory
        self.raise_after, self.die_after = raise_after, die_after
        self.calls = 0

    def calculate(self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        if self.calls == self.raise_after:
            raise RuntimeError("self-consistency\nwas not reached")
        if self.calls == self.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        assert self.atoms is not None
        arms = self.atoms.positions[:, None] - self.atoms.positions[None]
        distances = np.linalg.norm(arms, axis=-1) + np.eye(len(arms))
        stretch = (distances - self.length) * (1.0 - np.eye(len(arms)))
        stiffness = self.stiffness + self.memory * np.sin(self.calls)
        self.results["energy"] = 0.25 * stiffness * float((stretch**2).sum())
        self.results["forces"] = -stiffness * ((stretch / distances)[..., None] * arms).sum(axis=1)


def not_a_calculator() -> str:
    """What an import path that points at the wrong thing gives."""
    return "text"
