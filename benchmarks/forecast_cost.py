"""What a forecaster from windows costs in processor time, in one run beside GFN2-xTB dynamics and TrajCast, and when it has paid for itself.

python benchmarks/forecast_cost.py --model asteroid-ethanol.safetensors
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial

import torch
from rows import Table
from speed import processor_seconds, reference_speed
from starts import reference_starts

from forcefree.benchmark.propagation import Propagation
from forcefree.memory import keep_freed_memory
from forcefree.models.files import load
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.building import build_engine
from forcefree.simulation.engine import Engine
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State

REPLICAS = (1, 64)
NS_PER_DAY = 86400e-6
"""ns/day of one fs/s."""


def advance(engine: Engine, steps: int) -> None:
    for _ in range(steps):
        engine.step()


def speeds(model: Forecaster, text: str, replicas: int, repeats: int) -> list[float]:
    """Femtoseconds of all replicas together per second of processor time, with the propagator NAME:INTERVAL[:CORRECTIONS]."""
    how = Propagation.parse(text)
    options = SimulationOptions(
        ensemble="nvt", temperature=300.0, duration=1e6, seed=1, **how.options, compile=False,
        bootstrap="trajcast-ethanol" if model.card.history_length > 1 else None,
    )  # fmt: skip
    engine, _ = build_engine(model, State.from_atoms(reference_starts(replicas)), options)
    advance(engine, 3)
    steps = max(8, 120 // replicas)
    return [replicas * steps * how.interval / processor_seconds(partial(advance, engine, steps)) for _ in range(repeats)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a forecaster from windows")
    parser.add_argument("--rival", default="trajcast-ethanol")
    parser.add_argument("--rival-propagators", nargs="+", default=["direct:10", "reversible:20:1"], metavar="NAME:INTERVAL[:CORRECTIONS]")
    parser.add_argument("--equilibration", type=float, default=1.0, help="ps before every training run that were not recorded")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    table = Table("forecast_cost")
    reference = statistics.median(reference_speed(400) for _ in range(arguments.repeats))
    table.add("GFN2-xTB velocity Verlet 0.5 fs, one replica", reference * NS_PER_DAY, "ns/day", seeds=arguments.repeats)
    model, rival = load(arguments.model), load(arguments.rival)
    rows = [("ASTEROID", model, f"window:{model.card.t_max:g}")]
    rows += [("TrajCast", rival, text) for text in arguments.rival_propagators]
    own: dict[int, float] = {}
    for replicas in REPLICAS:
        for noun, forecaster, text in rows:
            label = f"{noun}, {text} fs, {replicas} replica(s), eager"
            speed = statistics.median(speeds(forecaster, text, replicas, arguments.repeats))
            if forecaster is model:
                own[replicas] = speed
            table.add(f"{label}: speed", speed * NS_PER_DAY, "ns/day", seeds=arguments.repeats)
            table.add(f"{label}: over GFN2-xTB", speed / reference, "x", seeds=arguments.repeats)
    training = model.card.training
    taught = 1000.0 * (training["picoseconds"] + arguments.equilibration * training["trajectories"]) / reference
    learnt = training["processor_seconds"]
    table.add("ASTEROID: processor time of its reference runs, at the speed above", taught, "s", seeds=1)
    table.add("ASTEROID: processor time of its training", learnt, "s", seeds=1)
    for replicas in REPLICAS:
        saved = 1.0 / reference - 1.0 / own[replicas]
        for noun, spent in (("training alone", learnt), ("training and reference runs", learnt + taught)):
            paid = spent / saved * 1e-6 if saved > 0.0 else float("inf")
            table.add(f"ASTEROID, {replicas} replica(s): has paid for {noun} after", paid, "ns", seeds=1)
    table.save()


if __name__ == "__main__":
    main()
