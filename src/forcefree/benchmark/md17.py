"""The MD17 protocol: one frame of heavy atoms in, eight targets within 3,000 frames out, S2S and S2T errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forcefree.benchmark.alignment import squared_errors
from forcefree.benchmark.fitting import Recipe, fit
from forcefree.benchmark.md17_data import HeavyTrajectory, read_heavy
from forcefree.benchmark.md17_models import TableModel
from forcefree.benchmark.md17_splits import Split, split_of
from forcefree.benchmark.md17_tasks import Task, task_of
from forcefree.benchmark.no_skill import Forecast, no_skill_forecasts
from forcefree.benchmark.table import Table
from forcefree.data.importing.md17 import MD17_SPACING
from forcefree.models.forecaster import Forecaster
from forcefree.nn.flight import positions_alone
from forcefree.state import State

HORIZONS = (1, 20, 60, 200, 600, 1500, 3000)
"""Frames ahead at which the error is followed, from 0.5 fs to 1.5 ps."""

UNIT = "1e-2 Å^2"
"""Of every error: mean square per coordinate, as published."""

_PER_BATCH = 250
_METRICS = ("S2S", "S2T", "S2S aligned", "S2T aligned")


@dataclass(frozen=True)
class Protocol:
    """What is run.

    Attributes:
        models: By the name in the table.
        splits: ``legacy``, ``blocked`` or both.
        samplings: Times that are tested, ``uniform``, ``irregular`` or both.
        seeds: Independent trainings of each model.
        recipe: How each is trained.
        horizons: Follow the error from 0.5 fs to 1.5 ps too.
        test: Test starts, at most 2000.
    """

    models: dict[str, TableModel]
    splits: tuple[str, ...] = ("legacy", "blocked")
    samplings: tuple[str, ...] = ("uniform", "irregular")
    seeds: int = 3
    recipe: Recipe = field(default_factory=Recipe)
    horizons: bool = False
    test: int = 2000


def run_md17(files: list[Path], protocol: Protocol, table: Table) -> None:
    """Train and test on every file, and add the rows; results are saved after every model.

    Raises:
        ForcefreeError: If a file cannot be used.
    """
    for path in files:
        trajectory = read_heavy(path)
        for kind in protocol.splits:
            _compare(trajectory, split_of(kind, len(trajectory)), f"{trajectory.label}, {kind}", protocol, table)


def errors(forecast: Forecast, task: Task) -> NDArray[np.float64]:
    """The four errors of a forecast in :data:`UNIT`: S2S (last time) and S2T (mean over times), raw and superposed."""
    raw, aligned = per_time(forecast, task)
    return 100.0 * np.array([raw[-1], raw.mean(), aligned[-1], aligned.mean()])


def per_time(forecast: Forecast, task: Task) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean squared errors in Å^2 at each target time, raw and superposed, each of shape (n_times,)."""
    found: list[tuple[Tensor, Tensor]] = []
    with torch.inference_mode():
        for state, times, positions in task.batches(_PER_BATCH):
            found.append(squared_errors(forecast(state, times), positions, len(task.trajectory.numbers)))
    raw, aligned = (torch.cat(column, dim=1).mean(dim=1).numpy() for column in zip(*found, strict=True))
    return raw, aligned


def asked_alone(forecast: Forecast, task: Task) -> float:
    """Largest change, in Å, of a forecast at the last time of each start when the other times are not asked for."""
    state, times, _ = task.batch(slice(0, _PER_BATCH))
    with torch.inference_mode():
        return float((forecast(state, times)[-1] - forecast(state, times[-1:])[0]).abs().max())


def forecast_of(model: Forecaster) -> Forecast:
    """A trained model as a forecast of positions."""

    def forecast(state: State, times: Tensor) -> Tensor:
        with positions_alone():
            return model.forecast((state,), times).positions

    return forecast


def _compare(trajectory: HeavyTrajectory, split: Split, label: str, protocol: Protocol, table: Table) -> None:
    """All rows of one trajectory and split; each model is trained once, on irregular times, and tested on those asked for."""
    train, validation = (task_of(trajectory, starts, "irregular") for starts in (split.train, split.validation))
    starts = split.test[: protocol.test]
    tests = {sampling: task_of(trajectory, starts, sampling) for sampling in protocol.samplings}
    ahead = Task(trajectory, starts, np.tile(HORIZONS, (len(starts), 1)))

    def add(name: str, forecasts: list[Forecast]) -> None:
        for sampling, task in tests.items():
            found = np.array([errors(forecast, task) for forecast in forecasts])
            for metric, values in zip(_METRICS, found.T, strict=True):
                table.add(f"{label}, {sampling}, {name}: {metric}", float(values.mean()), UNIT, seeds=len(values), error=_scatter(values))
        if protocol.horizons:
            followed = 100.0 * np.array([per_time(forecast, ahead)[0] for forecast in forecasts])
            for frames, values in zip(HORIZONS, followed.T, strict=True):
                figure = f"{label}, {name}: at {MD17_SPACING * frames:g} fs"
                table.add(figure, float(values.mean()), UNIT, seeds=len(values), error=_scatter(values))

    for name, forecast in no_skill_forecasts(trajectory, split.train).items():
        add(name, [forecast])
    for name, entry in protocol.models.items():
        fitted = [fit(entry, train, validation, protocol.recipe, seed) for seed in range(protocol.seeds)]
        add(name, [forecast_of(each.model) for each in fitted])
        worst = max(asked_alone(forecast_of(each.model), validation) for each in fitted)
        table.add(f"{label}, {name}: change without the other times", worst, "Å", seeds=protocol.seeds)
        table.add(f"{label}, {name}: parameters", fitted[0].parameters, "", seeds=protocol.seeds)
        best = np.array([each.validation for each in fitted]) * (1.0 if entry.judged == "both" else 100.0)
        judged = ("loss", "of the mean shape") if entry.judged == "both" else ("S2T", UNIT)
        table.add(f"{label}, {name}: {judged[0]} of validation", float(best.mean()), judged[1], seeds=protocol.seeds, error=_scatter(best))
        table.add(f"{label}, {name}: steps", float(np.mean([each.steps for each in fitted])), "", seeds=protocol.seeds)
        table.add(f"{label}, {name}: training", float(np.mean([each.seconds for each in fitted])), "s of one core", seeds=protocol.seeds)
        table.save()


def _scatter(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
