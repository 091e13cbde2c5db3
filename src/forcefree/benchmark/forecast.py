"""``forcefree benchmark forecast``: errors of forecasts from a window, on coupled Lorenz systems and on molecules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from forcefree.benchmark import arnn, sti_core
from forcefree.benchmark.arnn import ArnnOptions
from forcefree.benchmark.baselines import Predictor
from forcefree.benchmark.forecast_errors import ForecastErrors, aligned
from forcefree.benchmark.lorenz import Floats, coupled_lorenz
from forcefree.benchmark.sti_core import StiOptions
from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.state import State
from forcefree.training.windows import Windows

STEPS = (4, 8, 16, 32)
SUCCESS = 0.5
"""Normalised error below which the STI literature counts a forecast as a success."""


@dataclass(frozen=True)
class Figure:
    """One number of a table.

    Attributes:
        name: What was measured.
        value: The number.
        unit: Its unit.
        seeds: Independent seeds, windows or groups behind it.
        error: Standard error over them, None for one.
        at_most: Limit that was asked for, None where there is none.
    """

    name: str
    value: float
    unit: str
    seeds: int
    error: float | None = None
    at_most: float | None = None

    @classmethod
    def of(cls, name: str, values: Sequence[float], unit: str, at_most: float | None = None) -> Figure:
        """Mean and standard error of several values."""
        error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
        return cls(name, float(np.mean(values)), unit, len(values), error, at_most)


def lorenz_figures(seeds: Sequence[int], *, spacing: float, window: int = 50, ahead: int = 15) -> Iterator[Figure]:
    """Errors on one target of 90 coupled Lorenz variables, divided by the target's standard deviation around the forecast.

    Args:
        seeds: Each gives a trajectory, a target and weights of its own.
        spacing: Time between frames; the systems turn about once in 0.7.
        window: Observed frames m.
        ahead: Steps to forecast, L - 1.
    """
    cores = {
        "STI core": StiOptions(ahead=ahead),
        "STI core, no conjugate map": StiOptions(ahead=ahead, conjugate_weight=0.0),
        "STI core, last row of F alone": StiOptions(ahead=ahead, consistent=False),
        "STI core, F not shared": StiOptions(ahead=ahead, shared=False, conjugate_weight=0.0),
    }
    methods: dict[str, Callable[[Floats, Floats, int], Floats]] = {
        name: partial(sti_core.forecast, options=options) for name, options in cores.items()
    }
    methods["ARNN"] = lambda states, target, seed: arnn.forecast(states, target, np.random.default_rng(seed), ArnnOptions(ahead=ahead))
    methods["copy last"] = lambda states, target, seed: np.repeat(target[-1:], ahead)  # noqa: ARG005 (the same signature for all)
    errors: dict[str, list[float]] = {name: [] for name in methods}
    for seed in seeds:
        series = coupled_lorenz(window + ahead, seed, spacing=spacing)
        target = series[:, 3 * (seed % 30)]
        for name, method in methods.items():
            found = method(series[:window], target[:window], seed)
            errors[name].append(normalised_rmse(found, target, window))
    for name, values in errors.items():
        limit = SUCCESS if name == "STI core" else None
        yield Figure.of(f"Lorenz-90, every {spacing:g}, m = {window}, {ahead} ahead, {name}: normalised RMSE", values, "", limit)
        yield Figure.of(
            f"Lorenz-90, every {spacing:g}, m = {window}, {ahead} ahead, {name}: share below 0.5", [float(v <= SUCCESS) for v in values], ""
        )


def normalised_rmse(found: Floats, target: Floats, window: int) -> float:
    """Root mean square error over the standard deviation of the target in the window and the future."""
    return float(np.sqrt(np.mean((found - target[window:]) ** 2)) / target.std())


@dataclass(frozen=True)
class Iterated:
    """A forecaster used again and again on its own forecasts, as a predictor.

    Attributes:
        model: Of any history length; its frames are as far apart as those of the windows.
        segment: Frames kept of each forecast; as many as there are when not given.
    """

    model: Forecaster
    segment: int | None = None

    def __call__(self, windows: Windows) -> Tensor:
        """Positions at all times of the windows, Å."""
        card, spacing = self.model.card, float(windows.times[0, 0])
        count = min(self.segment or int(card.t_max / spacing + 1e-6), len(windows.times))
        if count == 0:
            raise ForcefreeError(
                f"{card.name} forecasts up to {card.t_max:g} fs, less than the {spacing:g} fs between the frames of the data"
            )
        history = windows.history[-card.history_length :]
        found: list[State] = []
        with torch.inference_mode():
            while len(found) < len(windows.times):
                frames = self.model.forecast(history, windows.times[:count])
                states = [frames.state(index, history[-1]) for index in range(count)]
                found += states
                history = (*history, *states)[-len(history) :]
        return torch.stack([state.positions for state in found[: len(windows.times)]])


def molecule_figures(
    predictors: Mapping[str, Sequence[Predictor]], groups: Sequence[Windows], label: str, steps: Sequence[int] = STEPS
) -> Iterator[Figure]:
    """Errors of forecasts of molecules in Å, raw and with rigid motion taken out.

    Args:
        predictors: By name; several where there are several training seeds.
        groups: Windows of disjoint sets of held-out trajectories.
        label: What the windows are.
        steps: Numbers of steps at which errors are given.
    """
    for name, seeds in predictors.items():
        rows = [_errors(predictor, windows) for predictor in seeds for windows in groups]
        for kind in ("raw", "aligned"):
            errors = [row[kind] for row in rows]
            for step in steps:
                if step > len(errors[0].absolute):
                    continue
                for noun, values in (
                    ("MAE", [error.mae(step) for error in errors]),
                    ("RMSE", [error.rmse(step) for error in errors]),
                    ("ADE", [error.ade(step) for error in errors]),
                    ("FDE", [error.fde(step) for error in errors]),
                ):
                    yield replace(Figure.of(f"{label}, {name}, {step} steps, {kind}: {noun}", values, "Å"), seeds=len(values))


def _errors(predictor: Predictor, windows: Windows) -> dict[str, ForecastErrors]:
    found = predictor(windows)
    laid = aligned(found, windows.positions, windows.history[-1])
    return {"raw": ForecastErrors.of(found, windows.positions), "aligned": ForecastErrors.of(laid, windows.positions)}
