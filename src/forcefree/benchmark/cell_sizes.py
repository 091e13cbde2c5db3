"""Speed and memory as a cell grows: a forecaster beside a force network of like architecture, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary

from forcefree.benchmark.like_force_network import ForceDynamics, has_force_network
from forcefree.benchmark.peak_memory import forget_peak_memory, peak_memory
from forcefree.benchmark.propagation import Propagation
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.building import build_engine
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State

SECONDS_PER_DAY = 86400.0
_MOST_STEPS = 40


@dataclass(frozen=True)
class SizeSpeed:
    """What was found for one size.

    Attributes:
        atoms: Number of atoms.
        step: Processor seconds of one step of the forecaster; on a GPU those by the clock.
        wall: Wall-clock seconds of the same.
        nanoseconds: Simulated ns per day of that time.
        clock: The same per day by the clock, which is what more cores shorten.
        forced: ns per day of the force network by the same time, None where it was left out.
        memory: GiB of the whole process at its largest during the forecaster's steps; of the GPU, where that is used.
    """

    atoms: int
    step: float
    wall: float
    nanoseconds: float
    clock: float
    forced: float | None
    memory: float


def supercell(atoms: Atoms, repeats: int, temperature: float, seed: int = 0) -> Atoms:
    """A cell repeated in all directions, with velocities of its own drawn at a temperature (K)."""
    large = atoms.repeat(repeats)
    MaxwellBoltzmannDistribution(large, temperature_K=temperature, rng=np.random.default_rng(seed))
    Stationary(large)
    return large


def measure_size(
    model: Forecaster, atoms: Atoms, how: Propagation, timestep: float | None, budget: float, device: str = "cpu", *, compiled: bool = False
) -> SizeSpeed:
    """Time a forecaster in NVT, and the force network where a time step is given.

    Args:
        model: The forecaster.
        atoms: The cell, with velocities.
        how: Propagator.
        timestep: Of the force network, fs, or None to leave it out.
        budget: Seconds for each of the two, about.
        device: ``cpu`` or ``cuda``.
        compiled: Run compiled forecasts; the force network never does.
    """
    state = State.from_atoms([atoms])
    options = SimulationOptions.parse(
        {
            "ensemble": "nvt", "temperature": 300.0, "velocities": "start", "duration": 1e6, **how.options, "compile": compiled,
            "device": device,
        },
        "benchmark",
    )  # fmt: skip
    engine, _ = build_engine(model, state, options)
    forget_peak_memory()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
    step, wall = _seconds(engine.step, budget, device)
    memory = peak_memory() if device == "cpu" else torch.cuda.max_memory_allocated(device) / 2**30
    forced = None
    if timestep is not None and has_force_network(model):
        dynamics = ForceDynamics(model, state.to(device), timestep)
        forced = 1e-6 * SECONDS_PER_DAY * timestep / _seconds(dynamics.step, budget, device)[0]
    per_day = 1e-6 * SECONDS_PER_DAY * how.interval
    return SizeSpeed(len(atoms), step, wall, per_day / step, per_day / wall, forced, memory)


def exponent(found: Sequence[SizeSpeed]) -> float:
    """Slope of the log of a step's time over the log of the number of atoms."""
    return float(np.polyfit(np.log([one.atoms for one in found]), np.log([one.step for one in found]), 1)[0])


def _seconds(step: Callable[[], object], budget: float, device: str) -> tuple[float, float]:
    """Processor and wall-clock seconds of a call, means over as many as the budget allows, after one that is not counted."""
    with torch.inference_mode():
        step()
        begun = (time.process_time(), _clock(device))
        count = 0
        while count < _MOST_STEPS and (count == 0 or _clock(device) - begun[1] < budget):
            step()
            count += 1
        wall = (_clock(device) - begun[1]) / count
        return (time.process_time() - begun[0]) / count if device == "cpu" else wall, wall


def _clock(device: str) -> float:
    """Seconds by the clock, when the device has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter()
