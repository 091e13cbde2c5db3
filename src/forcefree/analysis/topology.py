"""Which atoms are bonded, and the bonds, angles and dihedrals that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from forcefree.analysis.geometry import shortest_vectors
from forcefree.data.trajectory import Trajectory

Kind = Literal["bond", "angle", "dihedral"]

BOND_TOLERANCE = 1.25
"""Two atoms are bonded where their median distance is below this many times the sum of their covalent radii."""

_FRAMES_LOOKED_AT = 50
_MOST_PAIRS_HELD = 10_000_000
_MOST_COORDINATES = 5000


@dataclass(frozen=True)
class Coordinates:
    """Internal coordinates of one kind, gathered under names.

    Attributes:
        kind: What they are.
        atoms: Indices, shape (n_coordinates, 2), (n_coordinates, 3) or (n_coordinates, 4).
        names: Distinct names: one per coordinate such as ``C0-C1-O2``, or per type such as ``H-O-H`` where molecules repeat.
        member: Index into ``names`` of each coordinate.
    """

    kind: Kind
    atoms: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    names: tuple[str, ...]
    member: np.ndarray[tuple[int], np.dtype[np.int64]]


def bonded_pairs(runs: Sequence[Trajectory]) -> list[tuple[int, int]]:
    """Bonded atoms, from median distances over frames spread evenly over all runs.

    Args:
        runs: Runs of one system; shortest distances are taken under periodic boundaries.

    Returns:
        Pairs (i, j) with i < j, in order. Radii: Cordero et al., Dalton Trans. 2832 (2008), as in ASE.
    """
    first = runs[0]
    i, j = np.triu_indices(len(first.numbers), k=1)
    frames = max(1, min(_FRAMES_LOOKED_AT, _MOST_PAIRS_HELD // max(1, len(i))))
    per_run = -(-frames // len(runs))
    looked_at = np.concatenate([run.positions[:: -(-len(run) // per_run)] for run in runs[:frames]])
    chosen = [shortest_vectors(frame[j] - frame[i], first.cell, first.pbc) for frame in looked_at]
    distances = np.median(np.linalg.norm(np.array(chosen), axis=-1), axis=0)
    radii = covalent_radii[first.numbers]
    bonded = distances < BOND_TOLERANCE * (radii[i] + radii[j])
    return [(int(a), int(b)) for a, b in zip(i[bonded], j[bonded], strict=True)]


def internal_coordinates(run: Trajectory, bonds: Sequence[tuple[int, int]]) -> list[Coordinates]:
    """All bonds, angles and dihedrals along bonds.

    In an isolated system each has its own name, so that no error hides among equivalent ones; in a periodic system those
    of the same elements share one. A kind with more than 5000 members is thinned evenly.

    Args:
        run: Gives elements and periodicity.
        bonds: From :func:`bonded_pairs`.

    Returns:
        The kinds that have members.
    """
    neighbours: dict[int, list[int]] = {}
    for a, b in bonds:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    angles = [(i, j, k) for j in sorted(neighbours) for i, k in combinations(sorted(neighbours[j]), 2)]
    dihedrals = [(i, j, k, m) for j, k in bonds for i in sorted(neighbours[j]) for m in sorted(neighbours[k]) if len({i, j, k, m}) == 4]
    found: list[tuple[Kind, Sequence[tuple[int, ...]]]] = [("bond", bonds), ("angle", angles), ("dihedral", dihedrals)]
    return [_named(kind, atoms, run) for kind, atoms in found if atoms]


def _named(kind: Kind, atoms: Sequence[tuple[int, ...]], run: Trajectory) -> Coordinates:
    thinned = atoms[:: -(-len(atoms) // _MOST_COORDINATES)]
    labels = [_name(indices, run) for indices in thinned]
    names = tuple(dict.fromkeys(labels))
    order = {name: index for index, name in enumerate(names)}
    return Coordinates(kind, np.array(thinned, dtype=np.int64), names, np.array([order[label] for label in labels], dtype=np.int64))


def _name(indices: tuple[int, ...], run: Trajectory) -> str:
    symbols = [chemical_symbols[run.numbers[index]] for index in indices]
    if run.pbc.any():
        return "-".join(min(symbols, symbols[::-1]))
    return "-".join(f"{symbol}{index}" for symbol, index in zip(symbols, indices, strict=True))
