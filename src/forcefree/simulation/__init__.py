"""Rollouts: propagators, thermostats, guards, batched replicas, checkpoints, reporters."""

from forcefree.simulation.ase_adapter import ForecastDynamics
from forcefree.simulation.choice import make_propagator
from forcefree.simulation.engine import Engine
from forcefree.simulation.options import SimulationOptions
from forcefree.simulation.progress import Progress
from forcefree.simulation.propagators import Direct, Propagator
from forcefree.simulation.reversible import Reversible
from forcefree.simulation.simulate import Simulation, simulate
from forcefree.simulation.window import Window

__all__ = [
    "Direct",
    "Engine",
    "ForecastDynamics",
    "Progress",
    "Propagator",
    "Reversible",
    "Simulation",
    "SimulationOptions",
    "Window",
    "make_propagator",
    "simulate",
]
