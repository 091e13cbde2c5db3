"""The forecaster without skill, for the row beside which every other should stand."""

from __future__ import annotations

import torch

from forcefree.models.forecaster import Departures, Forecaster
from forcefree.state import State


class FreeFlight(Forecaster):
    """Every atom flies straight: no departure from free flight at any time."""

    def departures(self, history: tuple[State, ...], times: torch.Tensor) -> Departures:
        """Zeros."""
        nothing = torch.zeros(len(times), history[-1].n_atoms, 3, dtype=torch.float64)
        return Departures(nothing, nothing)
