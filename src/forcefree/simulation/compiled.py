"""A forecaster whose forecasts of one batch run as a single compiled function."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import Tensor

from forcefree.models.forecaster import Departures, Forecaster
from forcefree.simulation.compiler import compiler_options, own_copy
from forcefree.state import State


class CompiledForecaster(Forecaster):
    """The same forecasts as those of a model, to rounding, from one call of compiled code instead of several hundred operations.

    It serves isolated molecules that keep all their pairs and models of one frame. The first forecast compiles, which
    takes about half a minute; other batches than the one it was made for go to the model itself.

    Args:
        model: Whose forecasts to compile; its weights must not change any more.
        state: The batch; positions and velocities may change, atoms and systems may not.
        most_times: The largest number of times that will be asked for at once.
    """

    def __init__(self, model: Forecaster, state: State, most_times: int) -> None:
        super().__init__(model.card)
        self.model = model
        self._own = copy.deepcopy(model)  # compiled code reads pairs from the model, which other batches would replace
        self._batch, self._most_times, self._has_pairs = state, most_times, False
        # one thread: torch cannot compile sums over systems in float64 for several, and small molecules gain nothing by them
        options = compiler_options(state.positions.device)
        self._compiled: Any = torch.compile(own_copy(self._advance), fullgraph=True, dynamic=False, options=options)

    @property
    def knows_energy(self) -> bool:
        """Whether the model does."""
        return self.model.knows_energy

    def potential_energy(self, state: State) -> Tensor:
        """That of the model."""
        return self.model.potential_energy(state)

    def departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        """Those of the model."""
        return self.model.departures(history, times)

    def unchecked_forecast(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Forecaster.unchecked_forecast`; fewer times than were announced are padded by the last."""
        state = history[-1]
        missing = self._most_times - len(times)
        if state.system is not self._batch.system or missing < 0:
            return self.model.unchecked_forecast(history, times)
        if not self._has_pairs:
            self._own.unchecked_forecast((self._batch,), times)
            self._has_pairs = True
        padded = torch.cat([times, times[-1:].expand(missing, -1)]) if missing else times.contiguous()
        frames: tuple[Tensor, Tensor] = self._compiled(state.positions.contiguous(), state.velocities.contiguous(), padded)
        positions, velocities = frames
        return (positions[: len(times)], velocities[: len(times)]) if missing else (positions, velocities)

    def warm_up(self) -> None:
        """Compile now.

        Raises:
            Exception: Whatever the compiler says where there is none or it fails.
        """
        times = torch.full((self._most_times,), min(self.card.fixed_times or [self.card.t_max]), dtype=torch.float64)
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch speaks of its own parts while it compiles
            self.forecast((self._batch,), times.to(self._batch.positions.device))

    def _advance(self, positions: Tensor, velocities: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        return self._own.unchecked_forecast((self._batch.with_(positions=positions, velocities=velocities),), times)
