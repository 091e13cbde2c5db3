"""The estimated drift of the total energy of a running simulation, thermostat or not."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.models.forecaster import Forecaster
from forcefree.simulation.bodies import Bodies
from forcefree.state import State


class EnergyMonitor:
    """Total energy that the dynamics alone has gained since the start, as the model's energy head sees it.

    Kinetic energies are exact. Potential energies are the head's, and only the first and the present one are needed, because
    a thermostat changes velocities and leaves positions: over the steps in between they cancel. So an error of the head
    does not add up over a run, a leak of the map does, and watching costs next to nothing but one evaluation per look.

    Args:
        model: With an energy head.
        bodies: Mechanics of the batch.
        state: The start.
    """

    def __init__(self, model: Forecaster, bodies: Bodies, state: State) -> None:
        self._model, self._bodies = model, bodies
        self._start = self.potential(state)
        self._gained = torch.zeros_like(self._start)

    def potential(self, state: State) -> Tensor:
        """Potential energy by the energy head, eV, shape (n_systems,)."""
        with torch.inference_mode():
            return self._model.potential_energy(state)

    def add(self, before: Tensor, after: Tensor, running: Tensor) -> None:
        """Take note of a step.

        Args:
            before: Velocities before the dynamics of the step, Å/fs, shape (n_atoms, 3).
            after: Velocities after it.
            running: Replicas that made the step, shape (n_systems,).
        """
        change = self._bodies.kinetic_energy(after) - self._bodies.kinetic_energy(before)
        self._gained = self._gained + torch.where(running, change, 0.0)

    def drift(self, potential: Tensor) -> Tensor:
        """Energy gained since the start, where the potential energy is ``potential`` now; eV, both of shape (n_systems,)."""
        return potential - self._start + self._gained

    def rebase(self, before: State, after: State) -> None:
        """Go on from elsewhere: another program has moved atoms, which is no fault of the dynamics."""
        self._start = self._start + self.potential(after) - self.potential(before)

    def memory(self) -> dict[str, Tensor]:
        """What a run that goes on must know, each of shape (n_systems,)."""
        return {"energy_start": self._start, "energy_gained": self._gained}

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Go on with what :meth:`memory` gave."""
        self._start, self._gained = memory["energy_start"], memory["energy_gained"]
