"""What each part of the fast TrajCast is worth: short trainings at equal steps, three seeds each, errors on held-out runs.

Needs ``ethanol-train.h5`` and ``ethanol-held-out.h5`` (examples/ethanol). The fixed head is the published design: one interval,
displacement and velocity after it, no refinement.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import Table

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.memory import keep_freed_memory
from forcefree.models.card import Card
from forcefree.models.registry import build_model
from forcefree.training.config import OptimizerConfig
from forcefree.training.loss import Scales, unrolled_loss
from forcefree.training.module import one_step_errors
from forcefree.training.statistics import departure_scales
from forcefree.training.windows import Windows, WindowSource

FULL = {"channels": 48, "layers": 1, "refinements": 3, "nodes": 5, "refinement_width": 32}
PLAIN = {"channels": 48, "layers": 3, "refinements": 0}
VARIANTS: dict[str, tuple[dict[str, Any], str, bool, float]] = {
    "fast preset (continuous head, 3 refinements, SOAP)": (FULL, "soap", True, 1.0),
    "with Adam": (FULL, "adam", True, 1.0),
    "without refinement (3 message blocks)": (PLAIN, "soap", True, 1.0),
    "fixed 10 fs head, without refinement": (PLAIN | {"head": "fixed"}, "soap", True, 1.0),
    "without time reversal": (FULL, "soap", False, 1.0),
    "a tenth of the data": (FULL, "soap", True, 0.1),
}


def at_end(windows: Windows) -> Windows:
    """The same windows with their last time alone, for a head that knows no other."""
    return Windows(windows.history, windows.times[-1:], windows.positions[-1:], windows.velocities[-1:])


def train(
    variant: tuple[dict[str, Any], str, bool, float], runs: list[Trajectory], held_out: Windows, steps: int, seed: int
) -> tuple[float, float, float]:
    """Position MAE (pm) and velocity MAE (%) at 10 fs on held-out runs, and processor seconds."""
    options, optimizer_name, reversal, share = variant
    source = WindowSource(runs[: max(2, round(share * len(runs)))], 10.0, time_reversal=reversal, seed=seed)
    torch.manual_seed(seed)
    fixed = options.get("head") == "fixed"
    card = Card(name="ablation", model="trajcast", options=options, species=[1, 6, 8], t_max=10.0, cutoff=6.0)
    model: Any = build_model(card)
    model.set_scales(*departure_scales(source, card.species))
    scales = Scales.measure(source)
    if fixed:
        scales = Scales(scales.positions[-1:], scales.velocities[-1:], scales.mean_mass)
    settings = OptimizerConfig(name=optimizer_name, learning_rate=8e-3 if optimizer_name == "soap" else 2e-3)
    if settings.name == "soap":
        from pytorch_optimizer import SOAP

        optimizer: torch.optim.Optimizer = SOAP(model.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps + 1, pct_start=0.1)
    begun = time.process_time()
    for step in range(steps):
        windows = source.draw(64, step)
        loss = unrolled_loss(model, at_end(windows) if fixed else windows, scales)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        errors = one_step_errors(model, at_end(held_out))
    return 100.0 * float(errors["val_position_mae"]), float(errors["val_velocity_percent"]), time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("ethanol-train.h5"))
    parser.add_argument("--held-out", type=Path, default=Path("ethanol-held-out.h5"))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    table = Table("ablation")
    runs = list(read_store(arguments.data))
    held_out = WindowSource(list(read_store(arguments.held_out)), 10.0, time_reversal=False).draw(512, 0)
    for label, variant in VARIANTS.items():
        found = np.array([train(variant, runs, held_out, arguments.steps, seed) for seed in range(arguments.seeds)])
        error = found.std(axis=0, ddof=1) / len(found) ** 0.5 if len(found) > 1 else np.zeros(3)
        names = (("position MAE at 10 fs", "pm"), ("velocity MAE / rms at 10 fs", "%"), ("processor time", "s"))
        for column, (noun, unit) in enumerate(names):
            table.add(f"{label}: {noun}", float(found[:, column].mean()), unit, seeds=len(found), error=float(error[column]))
    table.save()


if __name__ == "__main__":
    main()
