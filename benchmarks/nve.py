"""Energy drift of NVE rollouts against the true potential: 32 replicas of 20 ps, direct beside reversible.

Beside them free flight, the row without skill, and the reference's own runs, the ceiling.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from rows import Table
from starts import reference_starts

from forcefree.benchmark.free_flight import FreeFlight
from forcefree.benchmark.propagation import Propagation
from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.models.files import load
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig
from forcefree.simulation.simulate import simulate
from forcefree.units import KINETIC_UNIT

BLIND = "no skill, free flight"
PROPAGATORS = (BLIND, "direct:10", "reversible:20:1", "reversible:20:2", "direct:5", "reversible:10:1")


def total_energies(trajectory: Trajectory) -> np.ndarray:
    """Kinetic plus true potential energy of every frame, eV."""
    from ase import Atoms

    molecule = Atoms(trajectory.numbers, calculator=build_calculator(CalculatorConfig()))
    found = []
    assert trajectory.velocities is not None
    for positions, velocities in zip(trajectory.positions, trajectory.velocities, strict=True):
        molecule.positions = positions
        kinetic = 0.5 * KINETIC_UNIT * (trajectory.masses[:, None] * velocities**2).sum()
        found.append(molecule.get_potential_energy() + kinetic)
    return np.array(found)


def slopes(trajectories: list[Trajectory]) -> tuple[np.ndarray, np.ndarray]:
    """Drift of each replica (meV/atom/ps) by least squares, and the scatter about it (meV)."""
    drifts, scatter = [], []
    for trajectory in trajectories:
        energy = 1000.0 * total_energies(trajectory)
        time = trajectory.times / 1000.0
        fit = np.polyfit(time, energy, 1)
        drifts.append(fit[0] / len(trajectory.numbers))
        scatter.append(float(np.std(energy - np.polyval(fit, time))))
    return np.array(drifts), np.array(scatter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="trajcast-ethanol")
    parser.add_argument("--held-out", type=Path, help="reference NVE runs for the ceiling; left out when not given")
    parser.add_argument("--replicas", type=int, default=32)
    parser.add_argument("--duration", default="20 ps")
    parser.add_argument(
        "--propagators", nargs="+", metavar="NAME:INTERVAL[:CORRECTIONS][:keep]", default=PROPAGATORS, help="instead of those of the table"
    )
    parser.add_argument("--results", default="nve", help="name of the file of results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.model)
    table = Table(arguments.results)
    starts = reference_starts(arguments.replicas)
    for text in arguments.propagators:
        blind = text == BLIND
        how = Propagation.parse("direct:10" if blind else text)
        label = f"{BLIND} 10 fs" if blind else how.label
        with tempfile.TemporaryDirectory() as folder:
            run = simulate(
                FreeFlight(model.card) if blind else model,
                starts,
                ensemble="nve",
                rotation=False,
                duration=arguments.duration,
                **how.options,
                save_every="500 fs",
                output=Path(folder) / "nve.h5",
            )
            kept = [t for index, t in enumerate(run.trajectories()) if index not in run.stopped]
        table.add(
            f"{label}: replicas lost",
            len(run.stopped),
            "of " + str(arguments.replicas),
            at_most=None if blind else 0,
            seeds=arguments.replicas,
        )
        if len(kept) < 2:
            continue
        drifts, scatter = slopes(kept)
        error = float(drifts.std(ddof=1) / len(drifts) ** 0.5)
        table.add(f"{label}: mean energy drift", float(drifts.mean()), "meV/atom/ps", at_most=1.0, seeds=len(kept), error=error)
        table.save()
        table.add(f"{label}: SD of drift over replicas", float(drifts.std(ddof=1)), "meV/atom/ps", seeds=len(kept))
        table.add(f"{label}: total-energy scatter about the drift", float(scatter.mean()), "meV", seeds=len(kept))
    if arguments.held_out is not None:
        runs = [t.frames(0, len(t), 100) for t in read_store(arguments.held_out) if t.provenance.get("temperature") == 300.0]
        drifts, scatter = slopes(runs)
        error = float(drifts.std(ddof=1) / len(drifts) ** 0.5)
        table.add(
            "reference (GFN2-xTB, velocity Verlet 0.5 fs): mean drift", float(drifts.mean()), "meV/atom/ps", seeds=len(runs), error=error
        )
        table.add("reference: total-energy scatter about the drift", float(scatter.mean()), "meV", seeds=len(runs))
    table.save()


if __name__ == "__main__":
    main()
