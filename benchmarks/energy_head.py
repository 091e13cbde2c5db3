"""Whether an energy head can be believed: its errors on held-out runs, its drift beside the true one, and what a tolerance does.

Errors are means over molecules of mean absolute errors in meV per atom; of the energy itself after the mean error of each
molecule is taken out, because a rollout needs energies up to a constant, and of its change over 10 fs. Then ethanol is rolled out
without a thermostat, with direct steps that leak and with the recommended ones; the drift that the head tells stands beside that of
GFN2-xTB energies along the same trajectories. Last, the same with tolerances: the share of steps done again and what is left of
the true drift.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nve import total_energies
from rows import Table
from starts import reference_starts

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.models.files import load
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.simulate import simulate
from forcefree.training.molecules import molecule_of
from forcefree.training.windows import WindowSource

HORIZON = 10.0
"""fs."""

ROLLOUTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("direct 10 fs", {"propagator": "direct", "interval": 10.0}),
    ("recommended", {}),
    ("direct 10 fs, tolerance 1 meV", {"propagator": "direct", "interval": 10.0, "tolerance": 1.0}),
    ("direct 10 fs, tolerance 0.5 meV", {"propagator": "direct", "interval": 10.0, "tolerance": 0.5}),
)


def head_errors(model: Forecaster, runs: list[Trajectory], windows: int) -> dict[str, float]:
    """Mean absolute errors of one molecule in meV per atom: of energies up to a constant, of changes, and of no skill."""
    drawn = WindowSource(runs, HORIZON, time_reversal=False, seed=11).draw(windows, 0)
    assert drawn.energies is not None
    state = drawn.history[-1]
    with torch.inference_mode():
        found = torch.stack([model.potential_energy(s) for s in (state, state.with_(positions=drawn.positions[-1]))])
    error = 1000.0 * (found - drawn.energies[[0, -1]]) / state.sizes
    moved = 1000.0 * (drawn.energies[-1] - drawn.energies[0]) / state.sizes
    return {
        "energy": float((error[0] - error[0].mean()).abs().mean()),
        "constant": float(error[0].mean().abs()),
        "change": float((error[1] - error[0]).abs().mean()),
        "no skill": float(moved.abs().mean()),
    }


def report_errors(table: Table, label: str, model: Forecaster, runs: list[Trajectory], windows: int) -> None:
    """Rows of means over molecules."""
    molecules: dict[str, list[Trajectory]] = defaultdict(list)
    for run in runs:
        molecules[molecule_of(run)].append(run)
    rows = [head_errors(model, chosen, windows) for chosen in molecules.values()]
    for key, what in (
        ("energy", "energy up to a constant, MAE"),
        ("constant", "that constant, mean magnitude"),
        ("change", "change over 10 fs, MAE"),
        ("no skill", "change over 10 fs called zero, MAE"),
    ):
        values = np.array([row[key] for row in rows])
        error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
        table.add(f"{label}: {what}", float(values.mean()), "meV/atom", seeds=len(values), error=error)


def rollouts(table: Table, model: Forecaster, duration: str, replicas: int) -> None:
    """Drift by the head beside the true one, over the same trajectories."""
    for label, options in ROLLOUTS:
        run = simulate(model, reference_starts(replicas), ensemble="nve", rotation=False, duration=duration, save_every="500 fs", **options)
        kept = {index: t for index, t in enumerate(run.trajectories()) if index not in run.stopped}
        name = f"ethanol NVE {duration}, {label}"
        table.add(f"{name}: replicas lost", len(run.stopped), f"of {replicas}", seeds=replicas)
        if len(kept) < 2:
            continue
        true = np.array([1e6 * np.diff(total_energies(t)[[0, -1]])[0] / t.times[-1] / len(t.numbers) for t in kept.values()])
        told = np.array([run.energy_drift[index] for index in kept])
        for what, values in (("true drift", true), ("drift by the head", told), ("head minus truth", told - true)):
            error = float(values.std(ddof=1) / len(values) ** 0.5)
            table.add(f"{name}: {what}", float(values.mean()), "meV/atom/ps", seeds=len(kept), error=error)
        if run.halved is not None:
            steps = replicas * run.time / float(str(run.propagator["interval"]))
            table.add(f"{name}: segments done again", 100.0 * run.halved / steps, "% of steps", seeds=replicas)
            assert run.over_tolerance is not None
            table.add(f"{name}: shortest segments beyond the tolerance", 100.0 * run.over_tolerance / steps, "% of steps", seeds=replicas)
        table.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="trajcast-ethanol-energy.safetensors")
    parser.add_argument("--held-out", type=Path, help="runs with energies of molecules that training saw, but none that it was trained on")
    parser.add_argument("--data", type=Path, help="a set with molecules that training was told to exclude; these alone are taken")
    parser.add_argument("--windows", type=int, default=256, help="windows per molecule")
    parser.add_argument("--duration", default="5 ps", help="of the rollouts")
    parser.add_argument("--replicas", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.model)
    table = Table(f"energy_head_{model.card.name}")
    excluded = set(model.card.training["config"]["data"]["exclude"])
    if arguments.held_out is not None:
        report_errors(
            table, "seen molecules", model, [t for t in read_store(arguments.held_out) if molecule_of(t) not in excluded], arguments.windows
        )
    if arguments.data is not None:
        report_errors(
            table, "unseen molecules", model, [t for t in read_store(arguments.data) if molecule_of(t) in excluded], arguments.windows
        )
    table.save()
    if {1, 6, 8} <= set(model.card.species):
        rollouts(table, model, arguments.duration, arguments.replicas)


if __name__ == "__main__":
    main()
