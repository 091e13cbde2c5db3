"""Training of one forecaster on the tasks of the MD17 protocol."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from forcefree.benchmark.md17_splits import HORIZON
from forcefree.benchmark.md17_tasks import Task, irregular_offsets
from forcefree.data.importing.md17 import MD17_SPACING
from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model
from forcefree.state import State

CUTOFF = 10.0
"""Å; every pair of atoms of the MD17 molecules lies inside."""

_DECAY = 0.99  # of the averaged weights
_LOOKS = 5  # validations of one training
_VALIDATED = 250  # starts of each


@dataclass(frozen=True)
class Recipe:
    """How every model of the table is trained.

    Attributes:
        steps: Optimizer steps.
        batch: Starts per step.
        learning_rate: Highest, of Adam; it warms up over a tenth of the steps and falls along a cosine.
        redraw: Draw irregular target times anew for every batch; the published code draws them once.
    """

    steps: int = 1000
    batch: int = 50
    learning_rate: float = 3e-3
    redraw: bool = True


@dataclass(frozen=True)
class Fitted:
    """A trained forecaster.

    Attributes:
        model: With the averaged weights that were best in validation.
        parameters: Trainable numbers.
        seconds: Processor time of the training.
    """

    model: Forecaster
    parameters: int
    seconds: float


def fit(architecture: str, options: dict[str, Any], train: Task, validation: Task, recipe: Recipe, seed: int) -> Fitted:
    """Minimise the squared error of positions over the target times, as published, and keep what validates best.

    Args:
        architecture: Registered name.
        options: Of the architecture.
        train: Starts to learn from.
        validation: Starts that choose the weights; its first 250 are looked at.
        recipe: Steps and rates.
        seed: Of weights and batches.
    """
    begun = time.process_time()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = build_model(heavy_card(architecture, options, sorted({int(z) for z in train.trajectory.numbers})))
    _scale(model, train)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe.steps))
    average = copy.deepcopy(model).eval()
    best, weights = math.inf, average.state_dict()
    regular = bool((train.offsets == train.offsets[0]).all())
    for step in range(recipe.steps):
        rows = rng.choice(len(train.starts), min(recipe.batch, len(train.starts)), replace=False)
        task = Task(train.trajectory, train.starts[rows], train.offsets[rows])
        if recipe.redraw and not regular:
            task = Task(train.trajectory, task.starts, irregular_offsets(len(rows), int(rng.integers(1 << 31))))
        loss = squared_error(model, *task.batch(slice(None)))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for old, new in zip(average.parameters(), model.parameters(), strict=True):
                old.lerp_(new, 1.0 - min(_DECAY, (1.0 + step) / (10.0 + step)))
        if (step + 1) % max(1, recipe.steps // _LOOKS) == 0:
            with torch.inference_mode():
                error = float(squared_error(average, *validation.batch(slice(0, _VALIDATED))))
            if error < best:
                best, weights = error, copy.deepcopy(average.state_dict())
    average.load_state_dict(weights)
    return Fitted(average, sum(p.numel() for p in model.parameters()), time.process_time() - begun)


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


def squared_error(model: Forecaster, state: State, times: Tensor, positions: Tensor) -> Tensor:
    """Mean squared error of forecast positions, Å^2.

    Args:
        model: What is trained.
        state: Starts.
        times: fs, shape (n_times, n_systems).
        positions: True ones, Å, shape (n_times, n_atoms, 3).
    """
    departures = model.conserving_departures((state,), times).positions
    flown = state.positions + state.velocities * times[:, state.system, None]
    return ((positions - flown).to(departures) - departures).square().mean()


def _rate(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / (0.1 * steps)) * (0.5 * (1.0 + math.cos(math.pi * step / steps)) + 1e-3)


def _scale(model: Forecaster, train: Task) -> None:
    """Heads work in units of the root mean square displacement, not of the departure from free flight, which has no bound."""
    set_scales: Any = getattr(model, "set_scales", None)
    if set_scales is not None:
        state, _, positions = train.batch(slice(None))
        size = (positions - state.positions).square().mean().sqrt()
        set_scales(size.expand(len(model.card.species)), size)
