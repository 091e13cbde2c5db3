"""Put the trained ethanol model and its reference into the package.

    forcefree reference reference.yaml && forcefree train train.yaml && forcefree train refine.yaml
    forcefree reference nvt-300K.yaml && python bundle.py --reference ethanol-nvt-300K.h5

The recommended propagator is the one that held energies and equipartition best in ``benchmarks/nve.py`` and ``benchmarks/nvt.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from forcefree.data.compact import compact_copy
from forcefree.data.h5md import read_store
from forcefree.models.files import load, save_model
from forcefree.training.statistics import guard_limits

BUNDLED = Path(__file__).parents[2] / "src" / "forcefree" / "models" / "bundled"


def main() -> None:
    """Write the bundled files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("trajcast-ethanol.safetensors"))
    parser.add_argument("--data", type=Path, default=Path("ethanol-train.h5"))
    parser.add_argument("--reference", type=Path, default=None, help="NVT store; the bundled one is kept when not given")
    parser.add_argument("--propagator", default="reversible")
    parser.add_argument("--interval", type=float, default=20.0)
    parser.add_argument("--corrections", type=int, default=1)
    arguments = parser.parse_args()
    model = load(arguments.model)
    chosen = {"name": arguments.propagator, "interval": arguments.interval}
    if arguments.propagator == "reversible":
        chosen["corrections"] = arguments.corrections
    folder = "examples/ethanol"
    training = {
        **model.card.training,
        "command": f"forcefree reference {folder}/reference.yaml; forcefree train {folder}/train.yaml; forcefree train {folder}/refine.yaml",
    }
    training["config"] = {**training["config"], "initial": "trajcast-ethanol-first.safetensors", "output": "trajcast-ethanol.safetensors"}
    model.card = model.card.model_copy(
        update={"propagator": chosen, "guards": guard_limits(read_store(arguments.data)), "training": training}
    )
    save_model(model, BUNDLED / "trajcast-ethanol.safetensors")
    if arguments.reference is not None:
        target = BUNDLED / "ethanol-nvt-300K.h5"
        target.unlink(missing_ok=True)
        compact_copy(arguments.reference, target)


if __name__ == "__main__":
    main()
