"""How much heat the forecasts of a thermostatted run make, which is what the thermostat takes out."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.simulation.bodies import Bodies
from forcefree.simulation.elements import Elements
from forcefree.state import State
from forcefree.units import KINETIC_UNIT


class HeatMeter:
    """Kinetic energy that the dynamics alone has brought to each replica, and to each element of it.

    Exact dynamics trades kinetic for potential energy back and forth; in equilibrium it brings none on average, but for what the potential
    energy of the last frame differs from that of the first. What forecasts make of nothing the thermostat takes out again, so that the
    mean over a run is the rate at which they make energy under that thermostat, and no energy has to be known.

    Args:
        state: The systems.
        bodies: Mechanics of the batch.
        since: Step from which on to count, after equilibration.
        apart: Tell the heat of each element: only where the thermostat acts on each by itself does it say which element the heat came to.
    """

    def __init__(self, state: State, bodies: Bodies, since: int = 0, *, apart: bool = False) -> None:
        self._bodies, self._since, self._apart = bodies, since, apart
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

    def steps(self) -> list[int]:
        """Steps that were counted, of each system."""
        counted: list[int] = self._steps.tolist()
        return counted

    def rates(self, interval: float) -> list[dict[str, float]]:
        """Heat that the forecasts made.

        Args:
            interval: Length of a step in fs.

        Returns:
            For each system meV per atom and ps, of the whole (``all``) and, where they are told apart, of each element.
        """
        owner, scale = self._elements.owner, 1e6 / (interval * self._steps.clamp_min(1).to(torch.float64))
        whole = torch.zeros_like(scale).index_add_(0, owner, self._gained) * scale / self._sizes
        found = [{"all": rate} for rate in whole.tolist()]
        if self._apart:
            single = (self._gained * scale[owner] / self._elements.sizes).tolist()
            for system, symbol, rate in zip(owner.tolist(), self._elements.symbols, single, strict=True):
                found[system][symbol] = rate
        return found

    def memory(self) -> dict[str, Tensor]:
        """What a run that goes on must know."""
        return {"heat_gained": self._gained, "heat_steps": self._steps}

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Go on with what :meth:`memory` gave; a run that began when there was no meter is measured from now on."""
        self._gained = memory.get("heat_gained", self._gained)
        self._steps = memory.get("heat_steps", self._steps)
