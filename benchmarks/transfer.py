"""Transfer to alanine dipeptide: fine-tuned from the model of many molecules, beside the same network trained from nothing.

Needs the runs and models of ``examples/transfer`` (``forcefree reference`` on ``data.yaml``, ``held-out.yaml`` and
``reference-300K.yaml``, ``forcefree train`` on ``fine-tune.yaml`` and ``scratch.yaml``). One-step errors are on fresh runs, grouped by run.
Ramachandran maps of rollouts at 300 K stand beside the reference's map; the ceiling is one half of the reference's runs
beside the other half. ``--part`` takes errors and rollouts one at a time, since ten nanoseconds of a model take more than an hour
on one core; rollouts are saved as ``transfer_MODEL.json``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from rows import Table
from starts import reference_starts

from forcefree.analysis.motion import conserved_by, run_temperatures
from forcefree.analysis.ramachandran import RamachandranMap
from forcefree.benchmark.free_flight import FreeFlight
from forcefree.benchmark.propagation import Propagation
from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.models.files import load
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.simulate import simulate
from forcefree.training.report import error_table
from forcefree.training.windows import WindowSource

PHI, PSI = (4, 6, 8, 14), (6, 8, 14, 16)
"""C-N-CA-C and N-CA-C-N in the order of ``alanine-dipeptide.pdb``."""

TIME = 10.0
HALVES = 20


def one_step(table: Table, label: str, model: Forecaster, runs: list[Trajectory], windows: int) -> None:
    """Errors at 10 fs, with the scatter over runs."""
    rows = [error_table(model, WindowSource([run], TIME, time_reversal=False, seed=7).draw(windows, 0))[-1] for run in runs]
    for figure, key, unit in (("position MAE at 10 fs", "position_pm", "pm"), ("velocity MAE / rms at 10 fs", "velocity_percent", "%")):
        values = np.array([row[key] for row in rows])
        table.add(f"{label}: {figure}", float(values.mean()), unit, seeds=len(rows), error=float(values.std(ddof=1) / len(rows) ** 0.5))


def single_steps(table: Table, arguments: argparse.Namespace) -> None:
    """Errors of all models and of free flight on the held-out runs."""
    files = {"before fine-tuning": arguments.base, "fine-tuned": arguments.tuned, "from nothing": arguments.scratch}
    models = {label: load(file) for label, file in files.items() if file}
    held_out = list(read_store(arguments.held_out))
    one_step(table, "no skill, free flight", FreeFlight(models["fine-tuned"].card), held_out, arguments.windows)
    for label, model in models.items():
        one_step(table, label, model, held_out, arguments.windows)
    table.save()


def ceiling(table: Table, runs: list[Trajectory]) -> RamachandranMap:
    """The reference's map, and what its halves say of each other."""
    rng = np.random.default_rng(0)
    distances, errors = [], []
    for _ in range(HALVES):
        order = rng.permutation(len(runs))
        first, second = (RamachandranMap.of([runs[i] for i in part], PHI, PSI) for part in np.array_split(order, 2))
        distances.append(first.distance(second))
        errors.append(first.free_energy_error(second))
    table.add("reference, halves: Jensen-Shannon distance of maps", float(np.mean(distances)), "", seeds=len(runs))
    table.add("reference, halves: free-energy error", float(np.mean(errors)), "kT", seeds=len(runs))
    return RamachandranMap.of(runs, PHI, PSI)


def rollout(table: Table, label: str, model: Forecaster, reference: RamachandranMap, arguments: argparse.Namespace) -> None:
    """Replicas lost, temperatures, and the map of what was not lost."""
    blind = isinstance(model, FreeFlight)
    how = Propagation.parse("direct:10" if blind else arguments.propagator)
    duration = "1 ps" if blind else arguments.duration
    with tempfile.TemporaryDirectory() as folder:
        run = simulate(
            model,
            reference_starts(arguments.replicas, str(arguments.reference)),
            ensemble="nvt",
            velocities="start",
            rotation=False,
            temperature=300.0,
            thermostat=arguments.thermostat,
            thermostat_time=arguments.thermostat_time,
            duration=duration,
            **how.options,
            save_every="100 fs",
            output=Path(folder) / "transfer.h5",
        )
        kept = [t for index, t in enumerate(run.trajectories()) if index not in run.stopped]
    lost = f"of {arguments.replicas}"
    table.add(f"{label}: replicas lost in {duration}", len(run.stopped), lost, seeds=arguments.replicas)
    table.save()
    if not kept:
        return
    temperatures = [run_temperatures(t, conserved_by(kept)) for t in kept]
    for element in temperatures[0]:
        values = np.array([one[element] for one in temperatures])
        error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
        table.add(f"{label}: temperature of {element}", float(values.mean()), "K", seeds=len(values), error=error)
    found = RamachandranMap.of(kept, PHI, PSI)
    table.add(f"{label}: Jensen-Shannon distance of maps", found.distance(reference), "", seeds=len(kept))
    table.add(f"{label}: free-energy error", found.free_energy_error(reference), "kT", seeds=len(kept))
    table.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="mdtrajnet-hcno", help="the model before fine-tuning")
    parser.add_argument("--tuned", default="alanine-dipeptide.safetensors")
    parser.add_argument("--scratch", default="alanine-dipeptide-scratch.safetensors", help="empty to leave it out")
    parser.add_argument("--held-out", type=Path, default=Path("alanine-dipeptide-held-out.h5"))
    parser.add_argument("--reference", type=Path, default=Path("alanine-dipeptide-300K.h5"))
    parser.add_argument("--windows", type=int, default=64, help="windows per held-out run")
    parser.add_argument("--replicas", type=int, default=10)
    parser.add_argument("--duration", default="1 ns")
    parser.add_argument("--thermostat", choices=("csvr", "csvr-elements", "langevin"), default="csvr")
    parser.add_argument("--thermostat-time", default="1 ps")
    parser.add_argument("--results", help="name of the file of results, transfer or transfer_MODEL if not given")
    parser.add_argument("--propagator", default="reversible:20:1:keep", metavar="NAME:INTERVAL[:CORRECTIONS][:keep]")
    parser.add_argument(
        "--part", choices=("errors", "fine-tuned", "from nothing"), default="errors", help="single steps, or rollouts of a model"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.part == "errors":
        single_steps(Table(arguments.results or "transfer"), arguments)
        return
    table = Table(arguments.results or f"transfer_{arguments.part.replace(' ', '_').replace('-', '_')}")
    model = load(arguments.tuned if arguments.part == "fine-tuned" else arguments.scratch)
    reference = ceiling(table, list(read_store(arguments.reference)))
    table.save()
    rollout(table, "no skill, free flight", FreeFlight(model.card), reference, arguments)
    rollout(table, arguments.part, model, reference, arguments)


if __name__ == "__main__":
    main()
