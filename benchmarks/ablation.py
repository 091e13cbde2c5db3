"""What each part of a model is worth: short trainings at equal steps, three seeds each, errors on held-out runs.

``--set ethanol`` takes the fast TrajCast apart and needs ``ethanol-train.h5`` and ``ethanol-held-out.h5`` (examples/ethanol); its fixed head is
the published design: one interval, displacement and velocity after it, no refinement. ``--set chemical-space`` takes MDtrajNet
apart, on molecules that no training saw, and needs ``chemical-space.h5`` (examples/chemical-space).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from rows import Table

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.memory import keep_freed_memory
from forcefree.models.card import Card
from forcefree.models.registry import build_model
from forcefree.training.config import OptimizerConfig
from forcefree.training.loss import Scales, unrolled_loss
from forcefree.training.module import one_step_errors
from forcefree.training.molecules import molecule_of, without
from forcefree.training.statistics import departure_scales
from forcefree.training.windows import Windows, WindowSource

FULL = {"channels": 48, "layers": 1, "refinements": 3, "nodes": 5, "refinement_width": 32}
PLAIN = {"channels": 48, "layers": 3, "refinements": 0}
ATTENTION = {"channels": 64, "matrix_channels": 16, "heads": 4, "layers": 1, "refinements": 2, "nodes": 5, "refinement_width": 32}
CHEMICAL_SPACE = Path(__file__).parent.parent / "examples" / "chemical-space" / "train.yaml"


@dataclass(frozen=True)
class Variant:
    """One way to train.

    Attributes:
        options: Of the architecture.
        architecture: Its name.
        optimizer: ``soap`` or ``adam``.
        reversal: Whether half of the windows run backwards.
        share: Of the training runs.
        end_only: Whether the last time of a window alone is trained.
    """

    options: dict[str, Any] = field(default_factory=lambda: dict(FULL))
    architecture: str = "trajcast"
    optimizer: str = "soap"
    reversal: bool = True
    share: float = 1.0
    end_only: bool = False


WHOLE = Variant(ATTENTION, "mdtrajnet")
SETS: dict[str, dict[str, Variant]] = {
    "ethanol": {
        "fast preset (continuous head, 3 refinements, SOAP)": Variant(),
        "with Adam": Variant(optimizer="adam"),
        "without refinement (3 message blocks)": Variant(PLAIN),
        "fixed 10 fs head, without refinement": Variant(PLAIN | {"head": "fixed"}, end_only=True),
        "without time reversal": Variant(reversal=False),
        "a tenth of the data": Variant(share=0.1),
    },
    "chemical-space": {
        "MDtrajNet (attention, all times, 2 refinements)": WHOLE,
        "sum: each neighbour weighed for itself": replace(WHOLE, options=ATTENTION | {"normalised": False}),
        "without refinement (3 attention blocks)": replace(WHOLE, options=ATTENTION | {"layers": 3, "refinements": 0}),
        "trained at 10 fs alone": replace(WHOLE, end_only=True),
        "without time reversal": replace(WHOLE, reversal=False),
        "a tenth of the data": replace(WHOLE, share=0.1),
    },
}


def at_end(windows: Windows) -> Windows:
    """The same windows with their last time alone, for a head that knows no other."""
    return Windows(windows.history, windows.times[-1:], windows.positions[-1:], windows.velocities[-1:])


def train(variant: Variant, runs: list[Trajectory], held_out: Windows, steps: int, seed: int) -> tuple[float, float, float]:
    """Position MAE (pm) and velocity MAE (%) at 10 fs on held-out runs, and processor seconds."""
    kept = np.random.default_rng(seed).permutation(len(runs))[: max(2, round(variant.share * len(runs)))]
    source = WindowSource([runs[index] for index in sorted(kept)], 10.0, time_reversal=variant.reversal, seed=seed)
    torch.manual_seed(seed)
    species = sorted({int(number) for run in runs for number in run.numbers})
    cutoff = 6.0 if variant.architecture == "trajcast" else 5.0
    card = Card(name="ablation", model=variant.architecture, options=variant.options, species=species, t_max=10.0, cutoff=cutoff)
    model: Any = build_model(card)
    model.set_scales(*departure_scales(source, card.species))
    scales = Scales.measure(source)
    if variant.end_only:
        scales = Scales(scales.positions[-1:], scales.velocities[-1:], scales.mean_mass)
    settings = OptimizerConfig(name=variant.optimizer, learning_rate=8e-3 if variant.optimizer == "soap" else 2e-3)
    if settings.name == "soap":
        from pytorch_optimizer import SOAP

        optimizer: torch.optim.Optimizer = SOAP(model.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps + 1, pct_start=0.1)
    begun = time.process_time()
    for step in range(steps):
        windows = source.draw(64, step)
        loss = unrolled_loss(model, at_end(windows) if variant.end_only else windows, scales)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        errors = one_step_errors(model, at_end(held_out))
    return 100.0 * float(errors["val_position_mae"]), float(errors["val_velocity_percent"]), time.process_time() - begun


def parts(name: str, data: Path | None, held_out: Path | None) -> tuple[list[Trajectory], list[Trajectory]]:
    """Runs to train on and runs to test on."""
    if name == "ethanol":
        files = (data or Path("ethanol-train.h5"), held_out or Path("ethanol-held-out.h5"))
        return list(read_store(files[0])), list(read_store(files[1]))
    excluded = yaml.safe_load(CHEMICAL_SPACE.read_text(encoding="utf-8"))["data"]["exclude"]
    runs = list(read_store(data or Path("chemical-space.h5")))
    return without(runs, excluded), [run for run in runs if molecule_of(run) in excluded]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=tuple(SETS), default="ethanol")
    parser.add_argument("--data", type=Path, help="the set's own file when not given")
    parser.add_argument("--held-out", type=Path, help="of ethanol; ethanol-held-out.h5 when not given")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    table = Table("ablation" if arguments.set == "ethanol" else "ablation_chemical_space")
    runs, tests = parts(arguments.set, arguments.data, arguments.held_out)
    held_out = WindowSource(tests, 10.0, time_reversal=False).draw(512, 0)
    for label, variant in SETS[arguments.set].items():
        found = np.array([train(variant, runs, held_out, arguments.steps, seed) for seed in range(arguments.seeds)])
        error = found.std(axis=0, ddof=1) / len(found) ** 0.5 if len(found) > 1 else np.zeros(3)
        names = (("position MAE at 10 fs", "pm"), ("velocity MAE / rms at 10 fs", "%"), ("processor time", "s"))
        for column, (noun, unit) in enumerate(names):
            table.add(f"{label}: {noun}", float(found[:, column].mean()), unit, seeds=len(found), error=float(error[column]))
        table.save()


if __name__ == "__main__":
    main()
