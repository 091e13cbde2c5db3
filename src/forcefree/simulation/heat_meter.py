"""How much heat a thermostat takes out of each element, which is what the dynamics brings."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.simulation.bodies import Bodies
from forcefree.simulation.elements import Elements
from forcefree.state import State
from forcefree.units import KINETIC_UNIT


class HeatMeter:
    """Kinetic energy that the dynamics alone has brought to each element.

    Exact dynamics trades kinetic for potential energy back and forth, and on average brings none: in a canonical run every
    element is as warm after a step as before it. What a forecast makes of nothing, or moves from one element to another, the thermostat takes out
    again. So the mean over a run in equilibrium is the drift that the run would have without it, and no energy has to be known.

    Args:
        state: The systems.
        bodies: Mechanics of the batch.
        since: Step from which on to count, after equilibration.
    """

    def __init__(self, state: State, bodies: Bodies, since: int = 0) -> None:
        self._bodies, self._since = bodies, since
        self._half_masses = 0.5 * KINETIC_UNIT * state.masses
        self._elements = Elements.of(state)
        self._sizes = state.sizes
        self._gained = torch.zeros(len(self._elements), dtype=torch.float64, device=state.masses.device)
        self._steps = torch.zeros(state.n_systems, dtype=torch.int64, device=state.masses.device)

    def add(self, before: Tensor, after: Tensor, running: Tensor, step: int) -> None:
        """Take note of a step.

        Args:
            before: Velocities before the dynamics of the step, Å/fs, shape (n_atoms, 3).
            after: Velocities after it.
            running: Replicas that made the step, shape (n_systems,).
            step: Its number, from 0.
        """
        if step < self._since:
            return
        old, new = (self._bodies.relative(velocities).square().sum(dim=1) for velocities in (before, after))
        change = self._elements.sum(self._half_masses * (new - old))
        self._gained = self._gained + torch.where(running[self._elements.owner], change, 0.0)
        self._steps = self._steps + running.to(torch.int64)

    def rates(self, interval: float, system: int) -> dict[str, float]:
        """Heat that was taken out of a system.

        Args:
            interval: Length of a step in fs.
            system: Which.

        Returns:
            meV per atom and ps, of the system (``all``) and of each element; empty before the first step.
        """
        steps = int(self._steps[system])
        if not steps:
            return {}
        groups = (self._elements.owner == system).nonzero()[:, 0].tolist()
        scale = 1e6 / (interval * steps)
        gained, sizes = self._gained.tolist(), self._elements.sizes.tolist()
        rates = {"all": scale * sum(gained[group] for group in groups) / int(self._sizes[system])}
        return rates | {self._elements.symbols[group]: scale * gained[group] / sizes[group] for group in groups}

    def memory(self) -> dict[str, Tensor]:
        """What a run that goes on must know."""
        return {"heat_gained": self._gained, "heat_steps": self._steps}

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Go on with what :meth:`memory` gave; a run that began when there was no meter is measured from now on."""
        self._gained = memory.get("heat_gained", self._gained)
        self._steps = memory.get("heat_steps", self._steps)
