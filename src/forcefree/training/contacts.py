"""How close atoms come and how far bonds stretch in trajectories, isolated or periodic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray
from vesin import NeighborList

from forcefree.data.trajectory import Floats, Trajectory

_BONDED = 1.25
"""Atoms closer than this multiple of their covalent radii are bonded."""

_LASTING = 1.7
"""A bond that stretches beyond this multiple has broken, as between the atoms of a liquid metal."""

_REACH = 5.0
"""Å; contacts in a periodic or large system are looked for up to here."""

_LARGEST_ALL_PAIRS = 100


class Contacts:
    """Extremes over the trajectories added so far.

    Attributes:
        closest: Closest approach of each pair of elements in Å, keys such as ``1-6``.
    """

    def __init__(self) -> None:
        self.closest: dict[str, float] = {}
        self._longest: dict[str, float] = {}
        self._broken: set[str] = set()

    @property
    def longest_bond(self) -> dict[str, float]:
        """Longest bond of each pair of elements in Å, without the pairs of which a bond broke in a periodic or large system."""
        return {key: length for key, length in self._longest.items() if key not in self._broken}

    def add(self, trajectory: Trajectory, frames: int) -> None:
        """Look at about ``frames`` frames.

        Bonds are those of the first frame, by covalent radii. A small isolated molecule has all its pairs looked at. In
        periodic and large systems contacts up to 5 Å count, of every periodic image but an atom's own, in a quarter of
        the frames; a bond stays with the image that it began with, because positions are unwrapped.

        Args:
            trajectory: Positions in Å, unwrapped.
            frames: How many to look at.
        """
        small = not trajectory.pbc.any() and len(trajectory.numbers) <= _LARGEST_ALL_PAIRS
        chosen = trajectory.positions[:: max(1, len(trajectory) // (frames if small else max(1, frames // 4)))]
        if small:
            first, second = np.triu_indices(len(trajectory.numbers), 1)
            shifts = np.zeros((len(first), 3))
            self._approach(trajectory, first, second, np.linalg.norm(chosen[:, second] - chosen[:, first], axis=-1).min(axis=0))
        else:
            first, second, shifts, _ = _neighbours(trajectory, trajectory.positions[0])
            for positions in chosen:
                i, j, _, lengths = _neighbours(trajectory, positions)
                self._approach(trajectory, i, j, lengths)
        self._stretch(trajectory, chosen, (first, second, shifts), lasting=small)

    def _approach(self, trajectory: Trajectory, first: NDArray[np.int64], second: NDArray[np.int64], lengths: Floats) -> None:
        for key, members in _by_elements(trajectory, first, second):
            self.closest[key] = min(float(lengths[members].min()), self.closest.get(key, np.inf))

    def _stretch(
        self, trajectory: Trajectory, chosen: Floats, pairs: tuple[NDArray[np.int64], NDArray[np.int64], Floats], *, lasting: bool
    ) -> None:
        first, second, shifts = pairs
        images = shifts @ trajectory.cell
        radii = covalent_radii[trajectory.numbers]
        touching = radii[first] + radii[second]
        start = trajectory.positions[0, second] - trajectory.positions[0, first] + images
        bonds = np.flatnonzero(np.linalg.norm(start, axis=-1) < _BONDED * touching)
        longest = np.zeros(len(bonds))
        for positions in chosen:
            longest = np.maximum(longest, np.linalg.norm(positions[second[bonds]] - positions[first[bonds]] + images[bonds], axis=-1))
        for key, members in _by_elements(trajectory, first[bonds], second[bonds]):
            self._longest[key] = max(float(longest[members].max()), self._longest.get(key, 0.0))
            if not lasting and bool((longest[members] > _LASTING * touching[bonds][members]).any()):
                self._broken.add(key)


def _neighbours(trajectory: Trajectory, positions: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """First and second atom, cell shift of the second, and distance in Å of all pairs up to the reach."""
    search = NeighborList(cutoff=_REACH, full_list=False)
    i, j, shifts, lengths = search.compute(points=positions, box=trajectory.cell, periodic=trajectory.pbc, quantities="ijSd")
    other = i != j
    return i[other].astype(np.int64), j[other].astype(np.int64), shifts[other].astype(np.float64), lengths[other]


def _by_elements(trajectory: Trajectory, first: NDArray[np.int64], second: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each pair of elements, smaller first, and which of the pairs of atoms belong to it."""
    numbers = np.sort(np.stack([trajectory.numbers[first], trajectory.numbers[second]]), axis=0)
    for a, b in np.unique(numbers, axis=1).T:
        yield f"{a}-{b}", (numbers[0] == a) & (numbers[1] == b)
