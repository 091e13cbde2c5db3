"""A forecaster that knows its energy and does not keep it, the less the longer its steps."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.simulation.building import build_engine
from forcefree.simulation.engine import Engine
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State
from forcefree.temperature import kinetic_energy
from oracles import ATOMS, Springs, phantom_start

FREEDOM = 24.0
"""Of one molecule, whose momentum alone is kept."""


class Sloppy(Springs):
    """The exact flow with velocities that gain with the cube of the time, in hot replicas more than in cold ones.

    Beyond ``reach`` (fs) a replica is lost altogether.
    """

    knows_energy = True
    gain, reach = 2e-5, 1e9

    def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
        state = history[-1]
        positions, velocities = super().departures(history, times)
        heat = (kinetic_energy(state, "nothing") / 0.3).square()[state.system, None]
        velocities = velocities + self.gain * heat * times[:, state.system, None] ** 3 * state.velocities
        return positions, torch.where(times[:, state.system, None] > self.reach, torch.nan, velocities)


def sloppy(**changes: float) -> Sloppy:
    """With other values of ``gain`` or ``reach``."""
    model = Sloppy(ATOMS)
    for name, value in changes.items():
        setattr(model, name, value)
    return model


def changes(model: Springs, before: State, after: State) -> Tensor:
    """Change of the total energy between two states, meV per degree of freedom, shape (n_systems,)."""
    ends = [model.potential_energy(s) + kinetic_energy(s, "momentum") for s in (before, after)]
    return 1000.0 * (ends[1] - ends[0]) / FREEDOM


def engine(model: Springs, **options: object) -> Engine:
    """Direct steps of 8 fs at 300 K, unless options say otherwise."""
    values = {"duration": 1e4, "temperature": 300.0, "guards": False, "propagator": "direct", "interval": 8.0, **options}
    return build_engine(model, phantom_start(), SimulationOptions.parse(values, "test"))[0]
