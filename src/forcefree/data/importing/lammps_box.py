"""The box of a LAMMPS dump: orthogonal, triclinic by tilt factors, or three general vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forcefree.data.trajectory import Floats


@dataclass(frozen=True)
class Box:
    """A simulation box.

    Attributes:
        cell: Rows are cell vectors in Å, shape (3, 3).
        origin: Å, shape (3,).
        pbc: Which are periodic, shape (3,).
    """

    cell: Floats
    origin: Floats
    pbc: NDArray[np.bool_]


def read_box(words: list[str], lines: list[str]) -> Box:
    """Read what follows ``ITEM: BOX BOUNDS``.

    Args:
        words: The rest of that line, such as ``xy xz yz pp pp pp``.
        lines: The three lines below it: bounds with tilt factors (of the *bounding* box, see the LAMMPS manual,
            "Triclinic simulation boxes"), or with ``abc origin`` a vector and a coordinate of the origin each.

    Raises:
        ValueError: If the lines do not hold the numbers expected.
    """
    rows = np.array([[float(number) for number in line.split()] for line in lines])
    pbc = np.array([word == "pp" for word in words[-3:]]) if len(words) >= 3 else np.ones(3, dtype=bool)
    if "abc" in words:
        if rows.shape != (3, 4):
            raise ValueError("a general box needs four numbers in each of three lines")
        return Box(rows[:, :3], rows[:, 3], pbc)
    if len(rows) != 3 or rows.shape[-1] not in (2, 3):
        raise ValueError("a box needs two or three numbers in each of three lines")
    low, high = rows[:, 0].copy(), rows[:, 1].copy()
    xy, xz, yz = rows[:, 2] if rows.shape[-1] == 3 else np.zeros(3)
    low -= np.array([min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0])
    high -= np.array([max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0])
    edges = high - low
    return Box(np.array([[edges[0], 0.0, 0.0], [xy, edges[1], 0.0], [xz, yz, edges[2]]]), low, pbc)
