"""Untrained models of the MD17 table, with what they may know beforehand of the molecule."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forcefree.benchmark.conformers import conformers_of
from forcefree.benchmark.md17_models import TableModel
from forcefree.benchmark.md17_splits import HORIZON
from forcefree.benchmark.md17_tasks import Task
from forcefree.benchmark.no_skill import mean_of_superposed
from forcefree.data.importing.md17 import MD17_SPACING
from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster
from forcefree.models.gfnode import GfNode
from forcefree.models.registry import build_model
from forcefree.state import State

CUTOFF = 10.0
"""Å; every pair of atoms of the MD17 molecules lies inside."""

_THIN = 0.1  # Å, root mean square height below which a mean structure is a plane that noise has bent


def untrained(entry: TableModel, train: Task) -> Forecaster:
    """The untrained model; what it may know beforehand comes from the training starts alone.

    Heads work in units of the root mean square displacement, not of the departure from free flight, which has no bound.
    """
    options, numbers = entry.options, train.trajectory.numbers
    state, _, positions = train.batch(slice(None))
    if entry.reference:
        shapes = [as_reference(numbers, mean) for mean in _shapes(numbers, state, entry.conformers)]
        options = options | {"reference": shapes[0], "conformers": shapes[1:]}
    model = build_model(heavy_card(entry.architecture, options, sorted({int(z) for z in numbers})))
    if isinstance(model, GfNode):
        size = (positions - state.positions).square().mean().sqrt()
        model.set_scales(size.expand(len(model.card.species)), size)
        model.start_from(state)
    return model


def as_reference(numbers: NDArray[np.int64], shape: Tensor) -> dict[str, Any]:
    """A mean shape along its principal axes, planar where it is nearly so, as a reference for the options of GF-NODE.

    Args:
        numbers: Atomic numbers, shape (n_atoms,).
        shape: Å, shape (n_atoms, 3).
    """
    centred = shape - shape.mean(dim=0)
    _, extents, axes = torch.linalg.svd(centred, full_matrices=False)
    thin = extents / len(centred) ** 0.5 < _THIN
    positions = torch.where(thin, 0.0, centred @ axes.T)
    return {"numbers": numbers.tolist(), "positions": [[round(x, 6) for x in row] for row in positions.tolist()]}


def _shapes(numbers: NDArray[np.int64], state: State, count: int) -> list[Tensor]:
    """The mean of the superposed structures, or means of clusters of them."""
    if count == 1:
        return [mean_of_superposed(state.positions.view(-1, len(numbers), 3))]
    return conformers_of(numbers, state, count)


def heavy_card(architecture: str, options: dict[str, Any], species: list[int]) -> Card:
    """The card of a model of heavy atoms over the protocol's horizon; hydrogens are left out, so it is not closed."""
    return Card(
        name=f"md17-{architecture}",
        model=architecture,
        options=options,
        species=species,
        t_max=HORIZON * MD17_SPACING,
        cutoff=CUTOFF,
        closed=False,
        ensemble="nvt",
        temperatures=[500.0],
    )
