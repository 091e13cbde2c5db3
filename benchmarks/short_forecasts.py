"""Short trainings of ASTEROID on any molecule, several seeds each, and the table of ``forcefree benchmark forecast`` for them.

Trainings follow ``examples/ethanol/asteroid.yaml`` but for what the options say, and stay in ``--models``, so that an interrupted run
goes on. Of an MD17 file (published, or a surrogate, which its rows then say) the first 85 % of time are for training and validation
and three later parts for the test, 100 fs apart. Sets:

``plain``     the recipe itself: four frames at once, further ones iterated
``one-shot``  32 frames at once, no unrolling
``ablation``  the recipe without one part at a time
``rival``     TrajCast on the same data, from the last frame alone

    python benchmarks/short_forecasts.py md17/md17_uracil.npz --steps 200
    python benchmarks/short_forecasts.py ethanol-train.h5 --held-out ethanol-held-out.h5 --set ablation --steps 200
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from rows import Table

from forcefree.benchmark.forecast_run import ForecastProtocol, run_forecast
from forcefree.benchmark.md17_blocks import GAP, write_blocks
from forcefree.models.files import load
from forcefree.training.config import TrainingConfig
from forcefree.training.run import train

RECIPE = Path(__file__).parent.parent / "examples" / "ethanol" / "asteroid.yaml"
HORIZON = 32
NO_STI = {"known_weight": 0.0, "consistency_weight": 0.0, "conjugate_weight": 0.0}
TRAJCAST = {"preset": "fast", "channels": 64, "layers": 1, "refinements": 3, "nodes": 5, "refinement_width": 32}

Changes = dict[str, Any]


def variants(name: str, spacing: float) -> dict[str, Changes]:
    """What a set trains, by the label of its rows: changes of the recipe, parts of its blocks included."""
    plain: Changes = {"model": {"t_max": 4.0 * spacing}}
    once: Changes = {"model": {"t_max": HORIZON * spacing}, "unroll": 1, "own_past": False}
    rival: Changes = {
        "model": {"architecture": "trajcast", "t_max": 4.0 * spacing, "options": TRAJCAST},
        "optimizer": {"learning_rate": 8e-3},
        "unroll": 1,
        "own_past": False,
    }
    without = {
        "no STI terms": NO_STI,
        "no local attention": {"local_attention": False},
        "no global attention": {"global_attention": False},
        "no autoregression": {"autoregressive": False},
    }
    ablation = {f"ASTEROID, {label}": merged(plain, {"model": {"options": options}}) for label, options in without.items()}
    sets: dict[str, dict[str, Changes]] = {
        "plain": {"ASTEROID": plain},
        "one-shot": {"ASTEROID, one shot": once},
        "ablation": {"ASTEROID, all parts": plain} | ablation,
        "rival": {"TrajCast, same data": rival},
    }
    return sets[name]


def merged(base: Changes, changes: Changes) -> Changes:
    """``base`` with ``changes`` laid over it, block by block."""
    inner = {key: merged(base[key], value) for key, value in changes.items() if isinstance(value, dict) and isinstance(base.get(key), dict)}
    return base | changes | inner


def trained(label: str, changes: Changes, data: Changes, seed: int, arguments: argparse.Namespace) -> Path:
    """The model file of one training, made now if it is not there."""
    files = Path(data["files"][0]).stem
    words = "-".join(label.lower().replace(",", "").split())
    factor = arguments.rival_factor if arguments.set == "rival" else 1.0
    steps = round(factor * arguments.steps)
    output = arguments.models / f"{words}-{files}-{arguments.spacing:g}fs-{steps}x{arguments.batch}-{seed}.safetensors"
    if output.exists():
        return output
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    if changes["model"].get("architecture", "asteroid") == "asteroid":
        changes = merged(changes, {"model": {"options": {"spacing": arguments.spacing}}})
    else:
        recipe["model"]["options"] = {}
    short: Changes = {
        "optimizer": {"steps": steps, "batch": arguments.batch},
        "validation": {"every": max(1, steps // 3)},
        "seed": seed,
        "output": str(output),
    }
    config = merged(merged(recipe, changes), short) | {"data": data}
    return train(TrainingConfig.parse(config, label), progress=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="store to train on, or an MD17 file, of which the end is the test")
    parser.add_argument("--held-out", type=Path, help="store to test on; needed for a store")
    parser.add_argument("--set", choices=("plain", "one-shot", "ablation", "rival"), default="plain")
    parser.add_argument("--spacing", type=float, default=2.0, help="fs between frames")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16, help="windows per step")
    parser.add_argument("--rival-factor", type=float, default=1.0, help="steps of TrajCast for one of ASTEROID")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--costly", type=int, default=0, help="windows for ARNN and, on stores, normal modes")
    parser.add_argument("--model", action="append", default=[], help="NAME=FILE, further rows of the table")
    parser.add_argument("--true-md17", type=Path, help="window of a published MD17 trajectory, a test only")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of trained models")
    parser.add_argument("--results", required=True, help="name of the file of results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.models.mkdir(exist_ok=True)
    archive = arguments.data.suffix == ".npz"
    if not archive and arguments.held_out is None:
        parser.error("a store needs --held-out runs to test on")
    training, test = write_blocks(arguments.data, arguments.models) if archive else (arguments.data, arguments.held_out)
    data: Changes = {"files": [str(training)], "split": "trajectory", "validation_fraction": 0.1}
    if archive:
        data |= {"split": "time", "validation_fraction": 0.15, "gap": GAP}
    found = {
        label: [trained(label, changes, data, seed, arguments) for seed in range(arguments.seeds)]
        for label, changes in variants(arguments.set, arguments.spacing).items()
    }
    table = Table(arguments.results)
    for label, paths in found.items():
        seconds = np.array([load(path).card.training["processor_seconds"] for path in paths], dtype=np.float64)
        error = float(seconds.std(ddof=1) / len(seconds) ** 0.5) if len(seconds) > 1 else None
        table.add(f"{label}: processor time of a training", float(seconds.mean()), "s", seeds=len(seconds), error=error)
    models = [f"{label}={path}" for label, paths in found.items() for path in paths]
    protocol = ForecastProtocol(
        held_out=test,
        md17=arguments.true_md17,
        training=(training,),
        models=(*models, *arguments.model),
        spacing=arguments.spacing,
        costly=arguments.costly,
        normal_modes=not archive,
    )
    run_forecast(protocol, table)


if __name__ == "__main__":
    main()
