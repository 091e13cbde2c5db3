"""Energy that iterated forecasts from windows gain without a thermostat, by the reference potential, and what changes it.

Starts are windows of runs that no training saw and no test uses: those of the pool after the first sixty, at about 300 K. A model may be
given as NAME=FILE+FILE@SHARE: weights on the straight line from the first to the second.

    python benchmarks/forecast_heat.py ethanol-train.h5 --model recipe=asteroid-ethanol.safetensors
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rows import Table

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.models.files import load, save_model
from forcefree.models.forecaster import Forecaster
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig
from forcefree.state import State
from forcefree.training.windows import window_source
from forcefree.units import BOLTZMANN, KINETIC_UNIT

TEMPERATURE, TOLERANCE = 300.0, 0.2


def near(run: Trajectory) -> bool:
    """Whether the run is at about 300 K."""
    assert run.velocities is not None
    kinetic = 0.5 * KINETIC_UNIT * (run.masses[:, None] * run.velocities**2).sum(axis=(1, 2)).mean()
    return bool(abs(kinetic / (1.5 * len(run.masses) * BOLTZMANN * TEMPERATURE) - 1.0) < TOLERANCE)


def between(text: str) -> Forecaster:
    """The model of FILE, or of FILE+FILE@SHARE."""
    first, given, rest = text.partition("+")
    model = load(first)
    if given:
        second, _, share = rest.partition("@")
        with torch.no_grad():
            for own, other in zip(model.parameters(), load(second).parameters(), strict=True):
                own.lerp_(other, float(share))
    return model


def energies(state: State) -> np.ndarray:
    """Total energies by GFN2-xTB, eV, shape (n_systems,)."""
    calculator = build_calculator(CalculatorConfig())
    potential = [calculator.get_potential_energy(molecule) for molecule in state.to_atoms()]
    kinetic = 0.5 * KINETIC_UNIT * state.sum(state.masses * state.velocities.square().sum(dim=-1))
    return np.array(potential) + kinetic.numpy()


def gains(model: Forecaster, runs: list[Trajectory], windows: int, duration: float) -> np.ndarray:
    """Energy gained by every replica, meV per atom."""
    card = model.card
    assert card.history_spacing is not None
    timing = {"history_length": card.history_length, "history_spacing": card.history_spacing, "fixed_times": card.fixed_times}
    drawn = window_source(runs, card.t_max, timing, time_reversal=False, seed=5).draw(windows, 0)
    history = drawn.history
    before = energies(history[-1])
    with torch.inference_mode():
        for _ in range(round(duration / card.t_max)):
            frames = model.forecast(history, drawn.times)
            history = (*history, *(frames.state(index, history[-1]) for index in range(len(drawn.times))))[-len(history) :]
    gained: np.ndarray = 1000.0 * (energies(history[-1]) - before) / history[-1].sizes.numpy()
    return gained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--skip", type=int, default=60, help="first runs, which trainings saw")
    parser.add_argument("--model", action="append", required=True, help="NAME=FILE or NAME=FILE+FILE@SHARE")
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--duration", type=float, default=400.0, help="fs")
    parser.add_argument("--save", type=Path, help="file to write the last model to")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("forecast_heat")
    runs = [run for run in islice(read_store(arguments.runs), arguments.skip, None) if near(run)]
    for text in arguments.model:
        name, _, rest = text.partition("=")
        model = between(rest)
        found = gains(model, runs, arguments.windows, arguments.duration)
        error = float(found.std(ddof=1) / len(found) ** 0.5)
        figure = f"{name}: energy gained in {arguments.duration:g} fs without a thermostat"
        table.add(figure, float(found.mean()), "meV/atom", seeds=len(found), error=error)
    table.save()
    if arguments.save is not None:
        save_model(model, arguments.save)


if __name__ == "__main__":
    main()
