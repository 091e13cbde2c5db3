"""The contract of an engine: dynamics of one structure under one potential."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError


class RunawayError(ForcefreeError):
    """The atoms came where a program cannot follow; the message is the program's."""


@dataclass(frozen=True)
class Frame:
    """One moment of the dynamics.

    Attributes:
        positions: Å, unwrapped, shape (n_atoms, 3).
        velocities: Å/fs, of the same moment as the positions, shape (n_atoms, 3).
        energy: Potential energy, eV.
        forces: eV/Å, shape (n_atoms, 3).
    """

    positions: Floats
    velocities: Floats
    energy: float
    forces: Floats


class Engine(ABC):
    """Integrates the motion of one structure; what is bonded to what, and all else but motion, is fixed when it is built.

    A recorded stretch is ``place``, ``begin``, and then ``advance`` and ``frame`` in turn. Two engines that are built alike,
    placed alike and given the same random numbers make the same frames to the last bit: that is what lets runs be resumed.
    """

    @abstractmethod
    def place(self, positions: Floats, velocities: Floats) -> None:
        """Set where the atoms are and how they move.

        Args:
            positions: Å, unwrapped, shape (n_atoms, 3).
            velocities: Å/fs, shape (n_atoms, 3).
        """

    @abstractmethod
    def relax(self) -> None:
        """Move the atoms towards a minimum of the energy, for a number of steps that is bounded."""

    @abstractmethod
    def equilibrate(self, temperature: float, rng: np.random.Generator) -> None:
        """Give the atoms velocities of the temperature, and run the Langevin dynamics of the configuration.

        Args:
            temperature: K.
            rng: Random numbers, or seeds where the program has its own.
        """

    @abstractmethod
    def begin(self, temperature: float, rng: np.random.Generator) -> None:
        """Prepare the recorded dynamics, NVE or NVT, from the atoms as they are.

        Args:
            temperature: K, of the thermostat if there is one.
            rng: As for ``equilibrate``.
        """

    @abstractmethod
    def advance(self) -> None:
        """Integrate from one recorded frame to the next."""

    @abstractmethod
    def frame(self) -> Frame:
        """The present moment."""
