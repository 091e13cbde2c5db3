"""Whether a start looks at all like what its model was trained on: density, neighbours, periodicity."""

from __future__ import annotations

import torch
from ase.data import chemical_symbols

from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.simulation.pairs import close_pairs
from forcefree.state import State

_VOLUME_MARGIN = 1.2
"""Cells may be this many times larger or smaller than those that training saw."""


def check_surroundings(card: Card, start: State) -> None:
    """Refuse what a trained model cannot know anything of, most often a wrong unit or a wrong cell.

    Args:
        card: Its guards say what training saw; a card without guards is of a model that was not trained, and passes.
        start: The systems of the simulation.

    Raises:
        ForcefreeError: If a system of a model of periodic systems is not periodic, has a volume per atom more than 20 % beyond that of
            the training data, or an atom sees no other within the cutoff.
    """
    if not card.guards:
        return
    _check_volumes(card, start)
    reached = close_pairs(start, card.cutoff).flatten()
    seen = torch.zeros(start.n_atoms, dtype=torch.bool)
    seen[reached.cpu()] = True
    alone = (~seen) & (start.sizes.cpu()[start.system.cpu()] > 1)
    if bool(alone.any()):
        atom = int(alone.nonzero()[0, 0])
        first = int((start.system == start.system[atom]).nonzero()[0, 0])
        raise ForcefreeError(
            f"atom {chemical_symbols[int(start.numbers[atom])]}{atom - first} of the start has no other within the cutoff of {card.cutoff:g} Å, "
            f"so that model {card.name} would let it fly straight; check the units of the start, or switch the guards off"
        )


def _check_volumes(card: Card, start: State) -> None:
    """Compare with the volumes per atom of training data that was periodic throughout."""
    limits = card.guards.get("volume")
    if limits is None:
        return
    low, high = (float(value) for value in limits)
    for cell, pbc, size in zip(start.cell.cpu(), start.pbc.cpu(), start.sizes.tolist(), strict=True):
        if not bool(pbc.all()):
            raise ForcefreeError(
                f"model {card.name} was trained on systems that are periodic in three directions, and the start is not; give it its cell, "
                "or set guards to false"
            )
        volume = abs(float(torch.linalg.det(cell))) / size
        if not low / _VOLUME_MARGIN <= volume <= high * _VOLUME_MARGIN:
            seen = f"{low:.4g}" if high - low < 1e-3 * high else f"{low:.4g} to {high:.4g}"
            raise ForcefreeError(
                f"the cell of the start has {volume:.4g} Å^3 for each atom, but the training data of model {card.name} had {seen}; "
                "check the cell, or switch the guards off"
            )
