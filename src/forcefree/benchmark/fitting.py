"""Training of one forecaster on the tasks of the MD17 protocol."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from forcefree.benchmark.alignment import squared_errors
from forcefree.benchmark.md17_models import TableModel
from forcefree.benchmark.md17_start import untrained
from forcefree.benchmark.md17_tasks import Task, fresh_offsets
from forcefree.models.forecaster import Forecaster
from forcefree.nn.flight import positions_alone
from forcefree.state import State

_DECAY = 0.99  # of the averaged weights
_WARMUP = 0.1  # of a training, in which the learning rate rises
_PER_BATCH = 250  # starts validated at once


@dataclass(frozen=True)
class Recipe:
    """How every model of the table is trained.

    Attributes:
        steps: Most optimizer steps; those of the table's entry if None.
        batch: Starts per step; those of the entry if None.
        learning_rate: Highest, of Adam; it warms up over a tenth of the steps and falls along a cosine.
        redraw: Draw irregular target times anew for every batch; the published code draws them once.
        looks: Validations of one training.
        patience: Validations without a better one after which training ends.
        validated: Validation starts that choose the weights, at most 2000.
    """

    steps: int | None = None
    batch: int | None = None
    learning_rate: float = 3e-3
    redraw: bool = True
    looks: int = 10
    patience: int = 4
    validated: int = 500


@dataclass(frozen=True)
class Fitted:
    """A trained forecaster.

    Attributes:
        model: With the averaged weights that were best in validation.
        parameters: Trainable numbers.
        seconds: Processor time of the training, validations included.
        steps: Optimizer steps that were made.
        validation: Smallest squared error of the validation, Å^2.
    """

    model: Forecaster
    parameters: int
    seconds: float
    steps: int
    validation: float


def fit(entry: TableModel, train: Task, validation: Task, recipe: Recipe, seed: int) -> Fitted:
    """Minimise the squared error of positions over the target times, as published, and keep what validates best.

    Args:
        entry: Architecture and options.
        train: Starts to learn from.
        validation: Starts that choose the weights and end the training.
        recipe: Steps and rates.
        seed: Of weights and batches.
    """
    begun = time.process_time()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    steps, batch = recipe.steps or entry.steps, min(recipe.batch or entry.batch, len(train.starts))
    model = untrained(entry, train)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    average = copy.deepcopy(model).eval()
    best, weights, since = math.inf, copy.deepcopy(average.state_dict()), 0
    regular, looked = bool((train.offsets == train.offsets[0]).all()), 0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _rate(step / steps)
        rows = rng.choice(len(train.starts), batch, replace=False)
        task = Task(train.trajectory, train.starts[rows], train.offsets[rows])
        if recipe.redraw and not regular:
            task = Task(train.trajectory, task.starts, fresh_offsets(len(rows), rng))
        loss = squared_error(model, *task.batch(slice(None)), superpose=entry.superposed)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(average.parameters(), model.parameters(), strict=True):
                old.lerp_(new, 1.0 - min(_DECAY, (1.0 + step) / (10.0 + step)))
        if (step + 1) * recipe.looks // steps > looked:
            looked, since = looked + 1, since + 1
            error = _validated(average, validation, recipe.validated, entry.superposed)
            if error < best:
                best, weights, since = error, copy.deepcopy(average.state_dict()), 0
            if since >= recipe.patience:
                break
    average.load_state_dict(weights)
    return Fitted(average, sum(p.numel() for p in model.parameters()), time.process_time() - begun, step + 1, best)


def squared_error(model: Forecaster, state: State, times: Tensor, positions: Tensor, *, superpose: bool = False) -> Tensor:
    """Mean squared error of forecast positions, Å^2.

    Args:
        model: What is trained.
        state: Starts.
        times: fs, shape (n_times, n_systems).
        positions: True ones, Å, shape (n_times, n_atoms, 3), all systems of one size.
        superpose: Lay each forecast frame on the true one first.
    """
    with positions_alone():
        departures = model.conserving_departures((state,), times).positions
    flown = state.positions + state.velocities * times[:, state.system, None]
    if superpose:
        return squared_errors(flown + departures, positions, state.n_atoms // state.n_systems)[1].mean()
    return ((positions - flown).to(departures) - departures).square().mean()


def _validated(model: Forecaster, validation: Task, count: int, superpose: bool) -> float:
    total = 0.0
    chosen = Task(validation.trajectory, validation.starts[:count], validation.offsets[:count])
    with torch.inference_mode():
        for batch in chosen.batches(_PER_BATCH):
            total += float(squared_error(model, *batch, superpose=superpose)) * batch[0].n_systems
    return total / len(chosen.starts)


def _rate(spent: float) -> float:
    return min(1.0, spent / _WARMUP + 1e-3) * (0.5 * (1.0 + math.cos(math.pi * min(1.0, spent))) + 1e-3)
