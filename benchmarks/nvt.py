"""Canonical averages of 1 ns in all under a weak thermostat (CSVR, 1 ps): temperatures, spectra, structure, direct beside reversible.

Every figure stands beside what the reference says of itself (two halves of its runs). The reference is the bundled one, or a
longer one made by ``forcefree reference examples/ethanol/nvt-300K.yaml``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from rows import Table
from starts import reference_starts

from forcefree.analysis.study import analyze
from forcefree.models.files import bundled_references, load
from forcefree.simulation.simulate import simulate

DEFAULT = ("reversible:20:2", "direct:10", "reversible:20:1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="trajcast-ethanol")
    parser.add_argument("--reference", default="ethanol-nvt-300K", help="bundled name or H5MD file")
    parser.add_argument("--replicas", type=int, default=64)
    parser.add_argument("--duration", default="16 ps", help="of each replica, after 2 ps that are not recorded")
    parser.add_argument("--thermostat-time", default="1 ps")
    parser.add_argument("--propagators", nargs="+", default=DEFAULT, metavar="NAME:INTERVAL[:CORRECTIONS]")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.model)
    reference = bundled_references().get(arguments.reference, Path(arguments.reference))
    table = Table("nvt")
    for text in arguments.propagators:
        name, interval, *corrections = text.split(":")
        label = f"{name} {interval} fs" + (f", {corrections[0]} correction(s)" if corrections else "")
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "nvt.h5"
            run = simulate(
                model,
                reference_starts(arguments.replicas),
                ensemble="nvt",
                velocities="start",
                rotation=False,
                temperature=300.0,
                thermostat_time=arguments.thermostat_time,
                equilibration="2 ps",
                duration=arguments.duration,
                propagator=name,
                interval=float(interval),
                corrections=int(corrections[0]) if corrections else None,
                save_every=f"{float(interval) / (5 if float(interval) >= 20 else 4 if float(interval) >= 10 else 2):g} fs",
                seed=1,
                output=output,
            )
            table.add(f"{label}: replicas lost", len(run.stopped), f"of {arguments.replicas}", at_most=0, seeds=arguments.replicas)
            table.save()
            if len(run.stopped) > arguments.replicas // 2:
                continue
            analysis = analyze(output, reference, discard="0", samples=2000)
        for measure in analysis.measures:
            if measure.deviation is not None:
                table.add(
                    f"{label}: {measure.label}",
                    measure.deviation,
                    measure.threshold_unit or measure.unit,
                    at_most=measure.threshold,
                    seeds=arguments.replicas,
                    error=measure.deviation_error,
                    holds=None if measure.threshold is None else measure.verdict == "holds",
                )
            if measure.model is not None and measure.group == "ensemble":
                table.add(
                    f"{label}: {measure.label}, value", measure.model, measure.unit, seeds=arguments.replicas, error=measure.model_error
                )
    table.save()


if __name__ == "__main__":
    main()
