"""Canonical averages under a weak thermostat (CSVR of 1 ps unless told otherwise): temperatures, spectra, structure, direct beside reversible.

Spectra and structure come from 1 ns in all. That knows the mean temperature of ethanol to 1.5 % and that of its single oxygen
to 3 %, so temperatures and energies come from a run ten times as long as well: ``--part temperatures``, saved as
``nvt_temperatures.json``. Free flight is the row without skill. Every figure stands beside what the reference says of itself (two halves of its runs). The reference is the bundled one, or a
longer one made by ``forcefree reference examples/ethanol/nvt-300K.yaml``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from rows import Table
from starts import fine_spacing, reference_starts

from forcefree.analysis.result import Measure
from forcefree.analysis.study import analyze
from forcefree.benchmark.free_flight import FreeFlight
from forcefree.benchmark.propagation import Propagation
from forcefree.models.files import bundled_references, load
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.simulate import Simulation, simulate

DEFAULT = ("reversible:20:1", "direct:10", "reversible:20:2")


def roll(
    model: Forecaster, text: str, arguments: argparse.Namespace, duration: str, save_every: float, seed: int, output: Path
) -> Simulation:
    """Replicas from frames of the reference at 300 K, with the propagator that ``text`` names."""
    return simulate(
        model,
        reference_starts(arguments.replicas),
        ensemble="nvt",
        velocities="start",
        rotation=False,
        temperature=300.0,
        thermostat=arguments.thermostat,
        thermostat_time=arguments.thermostat_time,
        equilibration="2 ps",
        duration=duration,
        **Propagation.parse(text).options,
        save_every=save_every,
        seed=seed,
        output=output,
        bootstrap=arguments.bootstrap if model.card.history_length > 1 else None,
    )


def add(table: Table, label: str, measures: list[Measure], replicas: int) -> None:
    """Deviation, threshold and verdict of every measure, and the temperatures themselves."""
    for measure in measures:
        if measure.deviation is not None:
            table.add(
                f"{label}: {measure.label}",
                measure.deviation,
                measure.threshold_unit or measure.unit,
                at_most=measure.threshold,
                seeds=replicas,
                error=measure.deviation_error,
                holds=None if measure.threshold is None else measure.verdict == "holds",
            )
        if measure.model is not None and measure.group == "ensemble":
            table.add(f"{label}: {measure.label}, value", measure.model, measure.unit, seeds=replicas, error=measure.model_error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="trajcast-ethanol")
    parser.add_argument("--reference", default="ethanol-nvt-300K", help="bundled name or H5MD file")
    parser.add_argument("--part", choices=("structure", "temperatures"), default="structure")
    parser.add_argument("--replicas", type=int, default=64)
    parser.add_argument("--duration", default="16 ps", help="of each replica, after 2 ps that are not recorded")
    parser.add_argument("--long", default="160 ps", help="of each replica in the longer run")
    parser.add_argument("--results", help="name of the file of results, nvt or nvt_temperatures if not given")
    parser.add_argument("--bootstrap", default="trajcast-ethanol", help="makes the first window of a model of several frames")
    parser.add_argument("--thermostat", choices=("csvr", "csvr-elements", "langevin"), default="csvr")
    parser.add_argument("--thermostat-time", default="1 ps")
    parser.add_argument("--propagators", nargs="+", default=DEFAULT, metavar="NAME:INTERVAL[:CORRECTIONS]")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.model)
    reference = bundled_references().get(arguments.reference, Path(arguments.reference))
    table = Table(arguments.results or ("nvt" if arguments.part == "structure" else "nvt_temperatures"))
    lost = f"of {arguments.replicas}"
    blind = FreeFlight(load("trajcast-ethanol").card)
    with tempfile.TemporaryDirectory() as folder:
        run = roll(blind, "direct:10", arguments, "1 ps", 100.0, 1, Path(folder) / "nvt.h5")
    table.add("no skill, free flight 10 fs: replicas lost within 3 ps", len(run.stopped), lost, seeds=arguments.replicas)
    for text in arguments.propagators:
        how = Propagation.parse(text)
        label = how.label + {"csvr": "", "langevin": ", Langevin"}.get(arguments.thermostat, f", {arguments.thermostat}")
        long = arguments.part == "temperatures"
        duration, every = (arguments.long, 100.0) if long else (arguments.duration, fine_spacing(how.interval))
        label = f"{arguments.long} each, {label}" if long else label
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "nvt.h5"
            run = roll(model, text, arguments, duration, every, 2 if long else 1, output)
            table.add(f"{label}: replicas lost", len(run.stopped), lost, at_most=0, seeds=arguments.replicas)
            table.save()
            if len(run.stopped) > arguments.replicas // 2:
                continue
            analysis = analyze(output, reference, discard="0", samples=2000)
        kept = [measure for measure in analysis.measures if not long or measure.group in ("ensemble", "energy")]
        add(table, label, kept, arguments.replicas)
        table.save()


if __name__ == "__main__":
    main()
