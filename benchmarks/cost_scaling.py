"""What a segment of MDtrajNet costs as the box grows: processor time and memory for 10^2 to 10^5 atoms of periodic water.

Each size runs in a process of its own, whose peak memory the operating system tells. Weights are those of an untrained model
of the size that ``examples/chemical-space`` trains, which cost the same as trained ones. The first forecast, which searches
for neighbours, is not timed; the energy of the box by the energy head is timed beside the segment. Exponents are slopes of
log-log fits, memory beyond what the smallest box needs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from ase import Atoms
from ase.build import molecule
from rows import Table

from forcefree.memory import keep_freed_memory
from forcefree.models.card import Card
from forcefree.models.energy_config import EnergyConfig
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model
from forcefree.simulation.propagators import Direct
from forcefree.state import State

EXAMPLE = Path(__file__).parents[1] / "examples" / "chemical-space" / "train.yaml"
SPACING = 3.1
"""Å between molecules of water at 1 g/cm^3."""

SIZES = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)
LARGEST_MEMORY = 10.0
"""GiB."""


def water(n_atoms: int) -> State:
    """About ``n_atoms`` atoms of water: molecules turned at random on a cubic grid at the density of the liquid."""
    per_side = max(1, round((n_atoms / 3) ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(per_side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * SPACING
    generator = np.random.default_rng(0)
    turns, _ = np.linalg.qr(generator.normal(size=(len(grid), 3, 3)))
    single = molecule("H2O")
    positions = (np.einsum("nij,aj->nai", turns, single.positions) + grid[:, None]).reshape(-1, 3)
    atoms = Atoms(np.tile(single.numbers, len(grid)), positions, cell=[per_side * SPACING] * 3, pbc=True)
    atoms.set_velocities(generator.normal(scale=0.05, size=positions.shape))
    return State.from_atoms([atoms])


def untrained(species: list[int]) -> Forecaster:
    """A model with the options of the example for these elements, and an energy head."""
    wanted = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["model"]
    torch.manual_seed(0)
    card = Card(
        name="untrained", model=wanted["architecture"], options=wanted["options"], energy=EnergyConfig(), species=species,
        t_max=10.0, cutoff=wanted["cutoff"],
    )  # fmt: skip
    model = build_model(card).eval()
    model.tabulate()
    return model


def seconds(work: object, repeats: int) -> float:
    """Processor time of one call, the least of some."""
    assert callable(work)
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def measure(n_atoms: int) -> dict[str, float]:
    """Processor seconds of a segment of 10 fs and of an energy, peak memory in GiB, atoms and pairs."""
    torch.set_num_threads(1)
    keep_freed_memory()
    model, state = untrained([1, 8]), water(n_atoms)
    step = Direct(model, 10.0)
    with torch.inference_mode():
        step.step(state)
        model.potential_energy(state)
        repeats = max(1, min(20, 30_000 // n_atoms))
        segment = seconds(lambda: step.step(state), repeats)
        energy = seconds(lambda: model.potential_energy(state), repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"atoms": state.n_atoms, "segment": segment, "energy": energy, "memory": peak}


def exponent(sizes: list[float], values: list[float]) -> float:
    """Slope of a log-log fit."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--one", type=int, help="measure this size here and print it as JSON")
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(measure(arguments.one)))
        return
    table = Table("cost_scaling")
    found = []
    for size in arguments.sizes:
        run = subprocess.run(  # noqa: S603 (this script itself)
            [sys.executable, __file__, "--one", str(size)],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        row = json.loads(run.stdout.splitlines()[-1])
        found.append(row)
        label = f"water, {row['atoms']:.0f} atoms"
        table.add(f"{label}: segment of 10 fs", 1e6 * row["segment"] / row["atoms"], "µs/atom", seeds=1)
        table.add(f"{label}: energy head", 1e6 * row["energy"] / row["atoms"], "µs/atom", seeds=1)
        table.add(f"{label}: peak memory", row["memory"], "GiB", at_most=LARGEST_MEMORY if size == max(arguments.sizes) else None, seeds=1)
        table.save()
    atoms = [row["atoms"] for row in found]
    table.add("water: exponent of the time of a segment", exponent(atoms, [row["segment"] for row in found]), "", seeds=len(found))
    large = [row for row in found if row["atoms"] >= 900]
    if len(large) > 1:
        table.add(
            "water: exponent of the time of a segment from 1000 atoms on",
            exponent([row["atoms"] for row in large], [row["segment"] for row in large]),
            "",
            at_most=1.1,
            seeds=len(large),
        )
        base = found[0]["memory"]
        table.add(
            "water: exponent of the memory beyond the smallest box from 1000 atoms on",
            exponent([row["atoms"] for row in large], [max(row["memory"] - base, 1e-3) for row in large]),
            "",
            at_most=1.1,
            seeds=len(large),
        )
    table.save()


if __name__ == "__main__":
    main()
