"""Pairs of atoms that guards look at, and the vectors between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from vesin import NeighborList

from forcefree.state import State


def atom_pairs(state: State) -> Tensor:
    """All pairs i < j inside the same system, shape (2, n_pairs)."""
    first = 0
    pairs = []
    for size in state.sizes.tolist():
        pairs.append(torch.triu_indices(size, size, offset=1) + first)
        first += size
    return torch.cat(pairs, dim=1).to(state.system.device)


def close_pairs(state: State, cutoff: float) -> Tensor:
    """Pairs i < j of the same system whose closest images are nearer than ``cutoff`` (Å), shape (2, n_pairs)."""
    pairs = []
    for first, both in pairs_of_images(state, cutoff):
        pairs.append(torch.from_numpy(np.unique(np.sort(both, axis=0), axis=1)) + first)
    return torch.cat(pairs, dim=1).to(state.system.device)


def pairs_of_images(state: State, cutoff: float) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """For each system its first atom, and pairs inside it nearer than ``cutoff`` (Å), once for each image, shape (2, n_pairs).

    An atom and its own images are no pair.
    """
    neighbours = NeighborList(cutoff=cutoff, full_list=False)
    first = 0
    for index, size in enumerate(state.sizes.tolist()):
        points = state.positions[first : first + size].cpu().numpy()
        box, periodic = state.cell[index].cpu().numpy(), state.pbc[index].cpu().numpy()
        both = np.stack(neighbours.compute(points=points, box=box, periodic=periodic, quantities="ij")).astype(np.int64)
        yield first, both[:, both[0] != both[1]]
        first += size


def displacements(state: State, pairs: Tensor) -> Tensor:
    """Vectors from the first to the second atom of each pair, by minimum image where periodic, Å, shape (n_pairs, 3)."""
    vectors = state.positions.index_select(0, pairs[1]) - state.positions.index_select(0, pairs[0])
    if not bool(state.pbc.any()):
        return vectors
    unit = torch.eye(3, dtype=state.cell.dtype, device=state.cell.device)
    cell = torch.where(state.pbc[:, :, None], state.cell, unit)
    system = state.system[pairs[0]]
    shifts = (vectors[:, None, :] @ torch.linalg.inv(cell)[system])[:, 0].round() * state.pbc[system]
    images: Tensor = (shifts[:, None, :] @ cell[system])[:, 0]
    return vectors - images
