"""Shapes of a molecule that its training structures fall into, whatever the names of like atoms and the hand."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forcefree.benchmark.alignment import superposed
from forcefree.benchmark.no_skill import mean_of_superposed
from forcefree.nn.bond_graph import whole_bonds
from forcefree.nn.reference_match import Matcher
from forcefree.state import State

_ROUNDS = 30


def conformers_of(numbers: NDArray[np.int64], state: State, count: int) -> list[Tensor]:
    """Means of clusters of structures, by k-means under superposition, exchange of like atoms and reflection.

    The first cluster begins at the mean of all as they are named, each further one at the structure that fits worst to those
    that there are.

    Args:
        numbers: Atomic numbers, shape (n_atoms,).
        state: Structures of one molecule.
        count: Clusters.

    Returns:
        Å, each of shape (n_atoms, 3).
    """
    frames = state.positions.view(-1, len(numbers), 3)
    mean = mean_of_superposed(frames)
    bonded = whole_bonds(mean, torch.from_numpy(numbers))
    branches = Matcher(numbers, bonded.numpy())(state, bonded.double().expand(len(frames), -1, -1))
    ways = state.positions[branches.atoms] * branches.handedness[:, None, None]
    order = torch.argsort(branches.system, stable=True)
    ways = ways[order].view(len(frames), -1, len(numbers), 3)
    centres = [mean]
    while True:
        for _ in range(_ROUNDS):
            laid, misfit = _laid(ways, centres)
            owner = misfit.argmin(dim=0)
            moved = [laid[index, owner == index].mean(dim=0) if bool((owner == index).any()) else old for index, old in enumerate(centres)]
            if torch.allclose(torch.stack(moved), torch.stack(centres), atol=1e-6):
                break
            centres = moved
        if len(centres) == count:
            return centres
        centres.append(frames[_laid(ways, centres)[1].amin(dim=0).argmax()])


def _laid(ways: Tensor, centres: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Every structure laid on every centre in its best way, (n_centres, n_structures, n_atoms, 3), and how badly it fits, Å^2."""
    found = []
    for centre in centres:
        all_ways = superposed(ways, centre.expand_as(ways))
        misfit = (all_ways - centre).square().sum(dim=(2, 3)) / len(centre)
        best, way = misfit.min(dim=1)
        found.append((all_ways[torch.arange(len(ways)), way], best))
    laid, misfit = (torch.stack(column) for column in zip(*found, strict=True))
    return laid, misfit
