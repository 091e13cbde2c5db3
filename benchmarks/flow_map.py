"""How far one forecast is from the truth, from 1 to 20 fs, on held-out runs, beside no-skill rows, a peer and the ceiling.

Needs held-out runs: ``forcefree reference examples/ethanol/held-out.yaml`` makes them in about four minutes.
The rows: *free flight* and *quadratic* (true forces at the start, no forecaster) have no skill; *GFN1-xTB* is the peer, another
quantum-chemical method at a quarter of the time step; *half time step* is the ceiling, the reference method against itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from ase import units
from rows import Table
from torch import Tensor

from forcefree.benchmark.single_step import integrate
from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.models.files import load
from forcefree.models.forecaster import Forecaster
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig
from forcefree.training.windows import Windows, WindowSource

TIMES = (1, 2, 5, 7, 10, 15, 20)
POSITION_TARGETS = {5: 0.05, 10: 0.15}
VELOCITY_TARGETS = {7: 0.7, 10: 1.0}
Errors = dict[int, tuple[float, float]]


def errors(positions: Tensor, velocities: Tensor, windows: Windows, time: int) -> tuple[float, float]:
    """Position MAE in pm and velocity MAE in percent of the rms velocity."""
    rms = windows.velocities[time - 1].square().mean().sqrt()
    return (
        100.0 * float((positions - windows.positions[time - 1]).abs().mean()),
        100.0 * float((velocities - windows.velocities[time - 1]).abs().mean() / rms),
    )


def of_model(model: Forecaster, windows: Windows) -> Errors:
    """One forecast up to ``t_max``, beyond it one after another."""
    found: Errors = {}
    state, begun = windows.history[-1], 0.0
    with torch.inference_mode():
        for time in TIMES:
            while time - begun > model.card.t_max + 1e-9:
                state, begun = model.propagate(state, model.card.t_max), begun + model.card.t_max
            ahead = model.propagate(state, time - begun)
            found[time] = errors(ahead.positions, ahead.velocities, windows, time)
    return found


def of_extrapolation(windows: Windows, accelerations: Tensor) -> Errors:
    """Positions and velocities of constant acceleration; zero acceleration is free flight."""
    last = windows.history[-1]
    found: Errors = {}
    for time in TIMES:
        positions = last.positions + time * last.velocities + 0.5 * time**2 * accelerations
        found[time] = errors(positions, last.velocities + time * accelerations, windows, time)
    return found


def of_dynamics(windows: Windows, calculator: CalculatorConfig, timestep: float) -> tuple[Errors, Tensor]:
    """Velocity Verlet from each start; also the accelerations there, in Å/fs^2."""
    starts = []
    for molecule in windows.history[-1].to_atoms():
        molecule.calc = build_calculator(calculator)
        starts.append(molecule.get_forces() / molecule.get_masses()[:, None] * units.fs**2)
    frames = integrate(windows.history[-1].to_atoms(), calculator, TIMES, timestep)
    found = {time: errors(frames[i, 0], frames[i, 1], windows, time) for i, time in enumerate(TIMES)}
    return found, torch.tensor(np.concatenate(starts))


def groups(path: Path) -> list[list[Trajectory]]:
    """Three disjoint sets of held-out runs, each with every temperature."""
    trajectories = list(read_store(path))
    return [trajectories[index::3] for index in range(3)]


def report(table: Table, label: str, found: list[Errors], targets: bool = False) -> None:
    for time in TIMES:
        for index, (noun, unit, limits) in enumerate(
            (("position MAE", "pm", POSITION_TARGETS), ("velocity MAE / rms", "%", VELOCITY_TARGETS))
        ):
            values = np.array([one[time][index] for one in found])
            limit = limits.get(time) if targets else None
            error = float(values.std(ddof=1) / len(values) ** 0.5)
            table.add(f"{label}: {noun} at {time} fs", float(values.mean()), unit, at_most=limit, seeds=len(values), error=error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="trajcast-ethanol")
    parser.add_argument("--held-out", type=Path, default=Path("ethanol-held-out.h5"))
    parser.add_argument("--windows", type=int, default=512, help="windows per group of held-out runs")
    parser.add_argument("--dynamics", type=int, default=24, help="of these, starts for the peer and the ceiling")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.model)
    table = Table("flow_map" if arguments.model == "trajcast-ethanol" else f"flow_map_{Path(arguments.model).stem}")
    rows: dict[str, list[Errors]] = {name: [] for name in (model.card.name, "free flight", "quadratic", "GFN1-xTB", "half time step")}
    for index, runs in enumerate(groups(arguments.held_out)):
        source = WindowSource(runs, 20.0, time_reversal=False, seed=index)
        windows = source.draw(arguments.windows, 0)
        rows[model.card.name].append(of_model(model, windows))
        rows["free flight"].append(of_extrapolation(windows, torch.zeros_like(windows.positions[0])))
        few = source.draw(arguments.dynamics, 1)
        ceiling, accelerations = of_dynamics(few, CalculatorConfig(), 0.25)
        rows["half time step"].append(ceiling)
        rows["quadratic"].append(of_extrapolation(few, accelerations))
        rows["GFN1-xTB"].append(of_dynamics(few, CalculatorConfig(name="gfn1-xtb"), 0.5)[0])
    for label, found in rows.items():
        report(table, label, found, targets=label == model.card.name)
    table.save()


if __name__ == "__main__":
    main()
