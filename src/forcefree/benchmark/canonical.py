"""Canonical rollouts beside canonical runs of the reference: every measure of ``forcefree analyze``, and what TrajCast was judged by."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from forcefree.analysis.motion import conserved_by
from forcefree.analysis.sample import load_sample
from forcefree.analysis.study import analyze
from forcefree.benchmark.bulk import energy_drift, radial_distance, start_of, structure_label
from forcefree.benchmark.free_flight import FreeFlight
from forcefree.benchmark.propagation import Propagation
from forcefree.benchmark.table import Table
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.reference.config import CalculatorConfig
from forcefree.simulation.simulate import Simulation, simulate
from forcefree.simulation.thermostats import ThermostatName

_MOST_SPACING = 10.0
_WARM_UP = 2000.0
_ENERGY_SAMPLES = 80
_BLIND_STEP, _BLIND = 10.0, 1000.0


@dataclass(frozen=True)
class CanonicalRun:
    """How long and how often.

    Attributes:
        replicas: Rollouts from frames of the reference.
        duration: fs, of each, after 2 ps that are not recorded.
        thermostat: Of the rollouts; the reference's is CSVR, whose averages a correct one shares.
        thermostat_time: fs, its relaxation time.
        seed: Of the thermostat.
        rollouts: Folder that keeps the rollouts, and from which they go on when they are interrupted; they are thrown away without.
    """

    replicas: int = 4
    duration: float = 25_000.0
    thermostat: ThermostatName = "csvr"
    thermostat_time: float = 100.0
    seed: int = 1
    rollouts: Path | None = None

    def label(self, how: Propagation) -> str:
        """What rollouts of a propagator are called in the table."""
        return how.label + ("" if self.thermostat == "csvr" else f", {self.thermostat}")

    def file_name(self, how: Propagation) -> str:
        """Of rollouts that are kept, such as ``reversible-20-1.h5``."""
        stem = Path(how.file_name).stem
        return how.file_name if self.thermostat == "csvr" else f"{stem}-{self.thermostat}.h5"


def canonical_rows(table: Table, model: Forecaster, reference: Path, how: Propagation, run: CanonicalRun) -> None:
    """Roll out one propagator from frames of the reference and compare; where a guard stops some replicas, those that last.

    Raises:
        ForcefreeError: If the reference cannot be read, holds several temperatures or does not say its temperature.
    """
    sample = load_sample(reference)
    runs, temperature = list(sample.whole), sample.temperature
    if temperature is None:
        raise ForcefreeError(
            f"{reference} does not say its temperature, at which canonical rollouts would run; make it with forcefree reference"
        )
    label = f"{run.replicas} x {run.duration / 1000:g} ps at {temperature:g} K, {run.label(how)}"
    with ExitStack() as stack:
        folder = run.rollouts or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        output = folder / run.file_name(how)
        found = _roll(
            model, runs, run, temperature, output,
            equilibration=whole_steps(_WARM_UP, how.interval), duration=whole_steps(run.duration, how.interval), **how.options,
            save_every=spacing_of(how.interval, runs[0].spacing),
        )  # fmt: skip
        check_rollout(found, run.duration)
        table.add(f"{label}: replicas lost", len(found.stopped), f"of {run.replicas}", at_most=0, seeds=run.replicas)
        lasting = [one for one in found.trajectories() if not one.provenance.get("stopped")]
        if found.stopped:
            label += f", the {len(lasting)} that last"
        if lasting:
            _rows(table, label, output, lasting, reference, runs)


def check_rollout(found: Simulation, duration: float) -> None:
    """Say why replicas were stopped, and refuse a rollout that was kept and is longer than ``duration`` (fs).

    Raises:
        ForcefreeError: If it is.
    """
    for sentence in found.stopped.values():
        typer.echo(sentence, err=True)
    step = float(str(found.propagator["interval"]))
    if found.time > whole_steps(duration, step) + 0.5 * step:
        raise ForcefreeError(
            f"{found.output} is {found.time / 1000:g} ps long, not {duration / 1000:g} ps; ask for that, or keep these rollouts in another folder"
        )


def blind_rows(table: Table, model: Forecaster, reference: Path, run: CanonicalRun) -> None:
    """What becomes of the same starts in straight flight, the row without skill, within 1 ps.

    How many a guard stops, and the structure of all where no guard is on duty; nothing where the reference does not say its temperature.

    Raises:
        ForcefreeError: If the reference cannot be read or holds several temperatures.
    """
    sample = load_sample(reference)
    runs, temperature = list(sample.whole), sample.temperature
    if temperature is None:
        return
    label = f"{run.replicas} x {_BLIND / 1000:g} ps at {temperature:g} K, no skill, free flight"
    flight = FreeFlight(model.card.model_copy(update={"fixed_times": None}))
    step = min(_BLIND_STEP, model.card.t_max)
    options = {"duration": whole_steps(_BLIND, step), "propagator": "direct", "interval": step, "save_every": step}
    run = replace(run, thermostat="csvr")
    stopped = _roll(flight, runs, run, temperature, None, **options).stopped
    table.add(f"{label}: replicas lost", len(stopped), f"of {run.replicas}", seeds=run.replicas)
    flown = list(_roll(flight, runs, run, temperature, None, guards=False, **options).trajectories())
    distance, error = radial_distance(flown, runs)
    table.add(f"{label}, without guards: {structure_label(runs)}", distance, "%", seeds=len(flown), error=error)


def _roll(
    model: Forecaster, runs: list[Trajectory], run: CanonicalRun, temperature: float, output: Path | None, **options: Any
) -> Simulation:
    return simulate(
        model,
        [start_of(*_frame(runs, index)) for index in range(run.replicas)],
        ensemble="nvt",
        temperature=temperature,
        velocities="start",
        rotation=conserved_by(runs) != "momentum and rotation",
        thermostat=run.thermostat,
        thermostat_time=run.thermostat_time,
        seed=run.seed,
        output=output,
        resume=output is not None,
        **options,
    )


def spacing_of(interval: float, reference: float) -> float:
    """Time between recorded frames, fs: the step, or a divisor of it as short as the reference's spacing and short enough to see vibrations."""
    parts = 1
    while interval / parts > min(_MOST_SPACING, reference) + 1e-9:
        parts += 1
    return interval / parts


def _frame(runs: list[Trajectory], index: int) -> tuple[Trajectory, int]:
    """A run and a frame of it for each replica: the middle of each run first, then other times."""
    run = runs[index % len(runs)]
    return run, (5 + 3 * (index // len(runs))) % 10 * len(run) // 10


def whole_steps(duration: float, interval: float) -> float:
    """The nearest multiple of a step, both in fs."""
    return max(1, round(duration / interval)) * interval


def _rows(table: Table, label: str, output: Path, ours: list[Trajectory], reference: Path, runs: list[Trajectory]) -> None:
    noun = structure_label(runs)
    distance, error = radial_distance(ours, runs)
    table.add(f"{label}: {noun}", distance, "%", at_most=2.0, seeds=len(ours), error=error)
    if len(runs) > 1:
        distance, error = radial_distance(runs[::2], runs[1::2])
        table.add(f"{label}: {noun} of one half of the reference's runs from the other", distance, "%", seeds=len(runs), error=error)
    calculator = runs[0].provenance.get("calculator")
    if calculator is not None:
        slope, error = energy_drift(ours, CalculatorConfig.model_validate(calculator), potential_only=True)
        table.add(f"{label}: slope of the potential energy", slope, "meV/atom/ps", seeds=len(ours), error=error)
    analysis = analyze(output, reference, discard="0", samples=_ENERGY_SAMPLES)
    for measure in analysis.measures:
        if measure.key.startswith("heat.") and measure.model is not None:
            table.add(f"{label}: {measure.label}", measure.model, measure.unit, seeds=len(ours), error=measure.model_error)
        if measure.deviation is None or measure.group == "completeness":  # lost replicas have a row already
            continue
        table.add(
            f"{label}: {measure.label}",
            measure.deviation,
            measure.threshold_unit or measure.unit,
            at_most=measure.threshold,
            seeds=len(ours),
            error=measure.deviation_error,
            holds=None if measure.threshold is None or measure.verdict == "not judged" else measure.verdict == "holds",
        )
        if measure.model is not None and measure.group in ("ensemble", "transport"):
            table.add(f"{label}: {measure.label}, value", measure.model, measure.unit, seeds=len(ours), error=measure.model_error)
