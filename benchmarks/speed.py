"""Speed on one core in one run: forecasts beside GFN2-xTB dynamics at 0.5 fs, as a ratio of simulated time per second."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import product

import torch
from ase import units
from ase.md.verlet import VelocityVerlet
from rows import Table
from starts import reference_starts

from forcefree.memory import keep_freed_memory
from forcefree.models.files import load
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig
from forcefree.simulation.building import build_engine
from forcefree.simulation.engine import Engine
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State

PROPAGATORS = (("direct", 10.0, None), ("reversible", 20.0, 1), ("reversible", 20.0, 2))
TARGETS = {1: 10.0, 64: 40.0}


def reference_speed(steps: int) -> float:
    """Femtoseconds per second of processor time of GFN2-xTB with velocity Verlet at 0.5 fs, one molecule."""
    molecule = reference_starts(1)[0]
    molecule.calc = build_calculator(CalculatorConfig())
    verlet = VelocityVerlet(molecule, 0.5 * units.fs)
    verlet.run(20)
    return 0.5 * steps / processor_seconds(lambda: verlet.run(steps))


def processor_seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _advance(engine: Engine, steps: int) -> None:
    for _ in range(steps):
        engine.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="trajcast-ethanol")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    model = load(arguments.model)
    recommended = model.card.propagator
    table = Table("speed")
    base = [reference_speed(400) for _ in range(arguments.repeats)]
    reference = statistics.median(base)
    table.add("GFN2-xTB velocity Verlet 0.5 fs, one replica", reference * 86400e-6, "ns/day", seeds=arguments.repeats)
    for (name, interval, corrections), replicas, compiled in product(PROPAGATORS, TARGETS, (True, False)):
        options = SimulationOptions(
            ensemble="nvt", temperature=300.0, duration=1e6, propagator=name, interval=interval, corrections=corrections, seed=1,
            compile=compiled,
        )  # fmt: skip
        engine, _ = build_engine(model, State.from_atoms(reference_starts(replicas)), options)
        _advance(engine, 5)
        steps = max(8, 200 // replicas)
        work = partial(_advance, engine, steps)
        found = [replicas * steps * interval / processor_seconds(work) for _ in range(arguments.repeats)]
        label = f"{name} {interval:g} fs" + (f", {corrections} correction" if corrections else "")
        label += f", {replicas} replica(s), {'compiled' if compiled else 'eager'}"
        chosen = (recommended.get("name"), recommended.get("interval"), recommended.get("corrections")) == (name, interval, corrections)
        target = TARGETS[replicas] if chosen and compiled else None
        table.add(f"{label}: speed", statistics.median(found) * 86400e-6, "ns/day", seeds=arguments.repeats)
        table.add(f"{label}: over GFN2-xTB", statistics.median(found) / reference, "x", at_least=target, seeds=arguments.repeats)
    table.save()


if __name__ == "__main__":
    main()
