"""The learning rate of each model of the MD17 table, chosen by validation starts: one training per rate, seed 0, legacy split, no test start."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rows import Table

from forcefree.benchmark.fitting import Recipe, fit
from forcefree.benchmark.md17_data import find_molecules, read_heavy
from forcefree.benchmark.md17_models import models_named
from forcefree.benchmark.md17_splits import split_of
from forcefree.benchmark.md17_tasks import task_of
from forcefree.memory import keep_freed_memory

RATES = (1e-3, 3e-3, 1e-2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with files md17_NAME.npz")
    parser.add_argument("--molecules", nargs="+", default=["ethanol"])
    parser.add_argument("--models", nargs="+", default=["gfnode", "network", "egnn", "egno"])
    parser.add_argument("--results", default="md17_rates")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    table = Table(arguments.results)
    for path in find_molecules(arguments.data, arguments.molecules):
        trajectory = read_heavy(path)
        split = split_of("legacy", len(trajectory))
        train, validation = (task_of(trajectory, starts, "irregular") for starts in (split.train, split.validation))
        for name, entry in models_named(arguments.models).items():
            for rate in RATES:
                fitted = fit(entry, train, validation, Recipe(learning_rate=rate), seed=0)
                figure = f"{trajectory.label}, {name}, learning rate {rate:g}"
                table.add(f"{figure}: S2T of validation", 100.0 * fitted.validation, "1e-2 Å^2", seeds=1)
                table.add(f"{figure}: training", fitted.seconds, f"s of one core, {fitted.steps} steps", seeds=1)
            table.save()


if __name__ == "__main__":
    main()
