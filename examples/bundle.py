r"""Put a trained model, and a reference to compare with, into the package.

    python examples/bundle.py trajcast-ethanol.safetensors --data ethanol-train.h5 --configurations examples/ethanol/reference.yaml \
        examples/ethanol/train.yaml examples/ethanol/refine.yaml --reference ethanol-nvt-300K.h5

The recommended propagator is the one that held energies and equipartition best in ``benchmarks/nve.py`` and ``benchmarks/nvt.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from forcefree.data.compact import compact_copy
from forcefree.data.h5md import read_store
from forcefree.models.files import load, save_model
from forcefree.training.statistics import guard_limits

BUNDLED = Path(__file__).parents[1] / "src" / "forcefree" / "models" / "bundled"


def command(configurations: list[Path], between: str | None) -> str:
    """The commands that make the model again, one for each configuration and one after the first where there is one."""
    verbs = ["train" if "data" in yaml.safe_load(path.read_text(encoding="utf-8")) else "reference" for path in configurations]
    commands = [f"forcefree {verb} {path}" for verb, path in zip(verbs, configurations, strict=True)]
    return "; ".join([*commands[:1], *([between] if between else []), *commands[1:]])


def main() -> None:
    """Write the bundled files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="what it was trained on; its distances and speeds are the guards of simulations"
    )
    parser.add_argument("--configurations", type=Path, nargs="+", required=True, help="in the order in which they were run")
    parser.add_argument("--between", help="a command between the first configuration and the next, such as that of thin.py")
    parser.add_argument("--reference", type=Path, help="NVT store to bundle as well, in compact form")
    parser.add_argument("--propagator", default="reversible")
    parser.add_argument("--keep-energy", action="store_true", help="recommend to keep the total energy by the energy head")
    parser.add_argument("--interval", type=float, default=20.0)
    parser.add_argument("--corrections", type=int, default=1)
    arguments = parser.parse_args()
    model = load(arguments.model)
    chosen = {"name": arguments.propagator, "interval": arguments.interval, "keep_energy": arguments.keep_energy}
    if arguments.propagator == "reversible":
        chosen["corrections"] = arguments.corrections
    made = {**model.card.training, "command": command(arguments.configurations, arguments.between)}
    for key in ("initial", "output"):
        if made["config"].get(key):
            made["config"] = {**made["config"], key: Path(made["config"][key]).name}
    excluded = set(made["config"]["data"]["exclude"])
    runs = [run for path in arguments.data for run in read_store(path) if run.provenance.get("molecule") not in excluded]
    model.card = model.card.model_copy(update={"propagator": chosen, "guards": guard_limits(runs), "training": made})
    save_model(model, BUNDLED / f"{model.card.name}.safetensors")
    if arguments.reference is not None:
        target = BUNDLED / arguments.reference.name
        target.unlink(missing_ok=True)
        compact_copy(arguments.reference, target)


if __name__ == "__main__":
    main()
