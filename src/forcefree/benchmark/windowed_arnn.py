"""ARNN as a predictor of molecules: every coordinate of every atom is a target, all coordinates and velocities the observed state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from forcefree.benchmark.arnn import ArnnOptions, forecast
from forcefree.benchmark.baselines import ballistic
from forcefree.training.windows import Windows


@dataclass(frozen=True)
class ArnnForecast:
    """One ARNN for each coordinate of each window, fitted to that window alone; what comes after its reach flies on straight.

    Attributes:
        ahead: Steps that an ARNN forecasts; fewer than the frames of the window.
        iterations: Most repetitions of a fit.
    """

    ahead: int = 8
    iterations: int = 30

    def __call__(self, windows: Windows) -> Tensor:
        """Positions at all times of the windows, Å."""
        last = windows.history[-1]
        options = ArnnOptions(ahead=min(self.ahead, len(windows.times)), iterations=self.iterations)
        positions = torch.stack([state.positions for state in windows.history]).numpy()
        velocities = torch.stack([state.velocities for state in windows.history]).numpy()
        found = ballistic(windows)
        for system in range(last.n_systems):
            atoms = (last.system == system).numpy()
            own = positions[:, atoms].reshape(len(positions), -1)
            states = np.concatenate([own, velocities[:, atoms].reshape(len(positions), -1)], axis=1)
            rng = np.random.default_rng(system)
            columns = [forecast(states, own[:, column], rng, options) for column in range(own.shape[1])]
            reach = torch.from_numpy(np.stack(columns, axis=1)).view(options.ahead, -1, 3)
            later = found[:, last.system == system]
            found[:, last.system == system] = torch.cat([reach, later[options.ahead :] - later[options.ahead - 1] + reach[-1]])
        return found
