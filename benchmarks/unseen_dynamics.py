"""Molecules that training never saw, simulated at 300 K: spectra, temperatures, energies and structure beside the reference's.

Needs ``forcefree reference spectra.yaml`` of ``examples/chemical-space``: canonical runs of five molecules that the model's
card says were excluded from its training. Each is rolled out under a weak thermostat (CSVR of 1 ps unless told otherwise) from frames of its runs.
Every figure stands beside the ceiling, what one half of the reference's runs says of the other. The similarity of
vibrational densities of states is one minus the area between them over the sum of their areas. Free flight has no skill.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from chemical_space import by_molecule
from nvt import add
from rows import Table
from starts import fine_spacing, reference_starts

from forcefree.analysis.result import Analysis
from forcefree.analysis.study import analyze
from forcefree.analysis.verdict import Thresholds
from forcefree.benchmark.free_flight import FreeFlight
from forcefree.benchmark.propagation import Propagation
from forcefree.data.h5md import read_store, write_store
from forcefree.data.trajectory import Trajectory
from forcefree.models.files import load
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.simulate import Simulation, simulate

PEAK = 15.0
"""cm^-1."""


def roll(model: Forecaster, reference: Path, arguments: argparse.Namespace, output: Path, *, blind: bool = False) -> Simulation:
    """Replicas of one molecule from frames of its reference."""
    how = Propagation.parse("direct:10" if blind else arguments.propagator)
    return simulate(
        FreeFlight(model.card) if blind else model,
        reference_starts(arguments.replicas, str(reference)),
        ensemble="nvt",
        velocities="start",
        rotation=False,
        temperature=300.0,
        thermostat_time=arguments.thermostat_time,
        equilibration="10 fs" if blind else "1 ps",
        duration="1 ps" if blind else arguments.duration,
        **how.options,
        save_every=10.0 if blind else fine_spacing(how.interval),
        output=output,
    )


def add_spectrum(table: Table, label: str, analysis: Analysis, replicas: int) -> None:
    """Similarity of the vibrational density of states beside that of the reference with itself."""
    measure = analysis.measure("spectrum.distance")
    assert measure.deviation is not None
    assert measure.ceiling is not None
    table.add(f"{label}: similarity of the VDOS", 1.0 - measure.deviation, "", seeds=replicas, error=measure.deviation_error)
    table.add(f"{label}: similarity of the VDOS, reference with itself", 1.0 - measure.ceiling, "", seeds=replicas)


def study(table: Table, model: Forecaster, name: str, runs: Sequence[Trajectory], arguments: argparse.Namespace) -> None:
    """All rows of one molecule."""
    lost, replicas = f"of {arguments.replicas}", arguments.replicas
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference.h5"
        write_store(reference, runs)
        blind = roll(model, reference, arguments, Path(folder) / "blind.h5", blind=True)
        table.add(f"{name}, no skill, free flight: replicas lost within 1 ps", len(blind.stopped), lost, seeds=replicas)
        output = Path(folder) / "model.h5"
        run = roll(model, reference, arguments, output)
        table.add(f"{name}: replicas lost", len(run.stopped), lost, at_most=0, seeds=replicas)
        if len(run.stopped) <= replicas // 2:
            analysis = analyze(output, reference, discard="0", samples=1000, thresholds=Thresholds(peak=PEAK))
            add_spectrum(table, name, analysis, replicas)
            add(table, name, analysis.measures, replicas)
    table.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mdtrajnet-hcno")
    parser.add_argument("--reference", type=Path, default=Path("chemical-space-spectra.h5"))
    parser.add_argument("--replicas", type=int, default=32)
    parser.add_argument("--duration", default="10 ps", help="of each replica, after 1 ps that is not recorded")
    parser.add_argument("--propagator", default="reversible:10:3", metavar="NAME:INTERVAL[:CORRECTIONS][:keep]")
    parser.add_argument("--thermostat-time", default="1 ps")
    parser.add_argument("--molecules", nargs="+", help="some of the reference's; all when not given")
    parser.add_argument("--results", default="unseen_dynamics", help="name of the file of results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.model)
    excluded = set(model.card.training["config"]["data"]["exclude"])
    table = Table(arguments.results)
    found = by_molecule(list(read_store(arguments.reference)))
    missing = set(arguments.molecules or ()) - set(found)
    if missing:
        raise SystemExit(f"{arguments.reference} has no {', '.join(sorted(missing))}; it has {', '.join(found)}")
    for name, runs in found.items():
        if arguments.molecules and name not in arguments.molecules:
            continue
        if name not in excluded:
            raise SystemExit(f"{name} was in the training data of {model.card.name}; choose molecules that it never saw")
        study(table, model, name, runs, arguments)


if __name__ == "__main__":
    main()
