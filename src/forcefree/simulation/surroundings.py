"""Whether a start looks at all like what its model was trained on: density, neighbours, periodicity."""

from __future__ import annotations

import numpy as np
import torch
from ase.data import chemical_symbols

from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.simulation.pairs import pairs_of_images
from forcefree.state import State

_VOLUME_MARGIN = 1.2
"""Cells may be this many times larger or smaller than those that training saw before it is said."""


def check_neighbours(card: Card, start: State) -> None:
    """Refuse atoms that a trained model cannot know anything of, most often because of a wrong unit.

    Args:
        card: A card without guards is of a model that was not trained, and passes.
        start: The systems of the simulation.

    Raises:
        ForcefreeError: If an atom of several sees no other within the cutoff.
    """
    if not card.guards or not bool(start.positions.isfinite().all()):  # of what is not finite the guards speak
        return
    sizes = start.sizes.tolist()
    for index, (first, pairs) in enumerate(pairs_of_images(start, card.cutoff)):
        alone = np.setdiff1d(np.arange(sizes[index]), pairs)
        if sizes[index] > 1 and len(alone):
            where = f"system {index} of the start" if start.n_systems > 1 else "the start"
            name = f"{chemical_symbols[int(start.numbers[first + alone[0]])]}{alone[0]}"
            raise ForcefreeError(
                f"atom {name} of {where} has no other within the cutoff of {card.cutoff:g} Å, so that model {card.name} would let it fly "
                "straight; check the units of the start, or switch the guards off"
            )


def strange_cells(card: Card, start: State) -> list[str]:
    """What is unlike the training data in the cells of a start, in sentences: one at most for each kind.

    Args:
        card: Its guards tell volumes per atom where all training data were periodic.
        start: The systems of the simulation.
    """
    if "volume" not in card.guards:
        return []
    low, high = (float(value) for value in card.guards["volume"])
    periodic = start.pbc.all(dim=1).cpu()
    found = []
    if not bool(periodic.all()):
        found.append(
            f"model {card.name} was trained on systems that are periodic in three directions, and the start is not; do not trust surfaces"
        )
    volumes = (torch.linalg.det(start.cell).abs() / start.sizes).cpu()[periodic]
    beyond = volumes[(volumes < low / _VOLUME_MARGIN) | (volumes > high * _VOLUME_MARGIN)]
    if len(beyond):
        seen = f"{low:.4g}" if high - low < 1e-3 * high else f"{low:.4g} to {high:.4g}"
        found.append(
            f"the cell of the start has {float(beyond[0]):.4g} Å^3 for each atom, and the training data of model {card.name} had {seen}; check the cell"
        )
    return found
