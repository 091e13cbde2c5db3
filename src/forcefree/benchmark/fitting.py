"""Training of one forecaster on the tasks of the MD17 protocol."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from forcefree.benchmark.md17_loss import error_of, loss_of, validated
from forcefree.benchmark.md17_models import TableModel
from forcefree.benchmark.md17_start import untrained
from forcefree.benchmark.md17_tasks import Task, fresh_offsets
from forcefree.models.forecaster import Forecaster

_DECAY = 0.99  # of the averaged weights
_WARMUP = 0.1  # of a training, in which the learning rate rises
_PER_BATCH = 250  # starts validated at once


@dataclass(frozen=True)
class Recipe:
    """How every model of the table is trained.

    Attributes:
        steps: Most optimizer steps, the same for every model.
        batch: Starts per step, the same for every model.
        learning_rate: Highest, of Adam; it warms up over a tenth of the steps and falls along a cosine. Of 1e-3, 3e-3 and 1e-2 this is
            the best for every kind of model (``benchmarks/md17_rates.py``).
        redraw: Draw irregular target times anew for every batch; the published code draws them once.
        looks: Validations of one training.
        patience: Validations without a better one after which training ends.
        validated: Validation starts that choose the weights, at most 2000.
    """

    steps: int = 200
    batch: int = 50
    learning_rate: float = 1e-2
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
        validation: Smallest loss of the validation, Å^2, or in units of the mean shape's where the model is judged by both errors.
    """

    model: Forecaster
    parameters: int
    seconds: float
    steps: int
    validation: float


def fit(entry: TableModel, train: Task, validation: Task, recipe: Recipe, seed: int) -> Fitted:
    """Minimise the error of positions over the target times, and keep what validates best.

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
    steps, batch = recipe.steps, min(recipe.batch, len(train.starts))
    model, loss_function = untrained(entry, train), loss_of(entry.judged, train)
    looked_at = Task(validation.trajectory, validation.starts[: recipe.validated], validation.offsets[: recipe.validated])
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
        loss = error_of(model, loss_function, *task.batch(slice(None)))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(average.parameters(), model.parameters(), strict=True):
                old.lerp_(new, 1.0 - min(_DECAY, (1.0 + step) / (10.0 + step)))
        if (step + 1) * recipe.looks // steps > looked:
            looked, since = looked + 1, since + 1
            error = validated(average, loss_function, looked_at, _PER_BATCH)
            if error < best:
                best, weights, since = error, copy.deepcopy(average.state_dict()), 0
            if since >= recipe.patience:
                break
    average.load_state_dict(weights)
    return Fitted(average, sum(p.numel() for p in model.parameters()), time.process_time() - begun, step + 1, best)


def _rate(spent: float) -> float:
    return min(1.0, spent / _WARMUP + 1e-3) * (0.5 * (1.0 + math.cos(math.pi * min(1.0, spent))) + 1e-3)
