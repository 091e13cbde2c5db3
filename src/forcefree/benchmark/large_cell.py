"""Rollouts of a cell many times as large as those of the training, judged by canonical runs of the small cell."""

from __future__ import annotations

from pathlib import Path

from forcefree.analysis.motion import conserved_by, run_temperatures
from forcefree.analysis.sample import load_sample
from forcefree.analysis.verdict import mean_and_error
from forcefree.benchmark.bulk import energy_drift, radial_distance, start_of
from forcefree.benchmark.canonical import CanonicalRun, check_rollout, spacing_of, whole_steps
from forcefree.benchmark.cell_sizes import supercell
from forcefree.benchmark.propagation import Propagation
from forcefree.benchmark.table import Table
from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.reference.config import CalculatorConfig
from forcefree.simulation.simulate import simulate

_WARM_UP = 2000.0
_PIECES = 4


def large_rows(table: Table, model: Forecaster, reference: Path, how: Propagation, run: CanonicalRun, repeats: int) -> None:
    """One canonical rollout of the reference's cell repeated in all directions, with velocities of its own.

    Radial distribution functions and temperatures are set beside those of the small cell, but for what its size does to them;
    errors are over pieces of the rollout.

    Args:
        table: Gets the rows.
        model: A forecaster.
        reference: Canonical runs of the small cell.
        how: Propagator.
        run: Duration, thermostat, seed, and where the rollout is kept.
        repeats: Cells in each direction.

    Raises:
        ForcefreeError: If the reference cannot be read, is not periodic, or does not say its temperature.
    """
    sample = load_sample(reference)
    runs, temperature = list(sample.whole), sample.temperature
    if temperature is None or not runs[0].pbc.all():
        raise ForcefreeError(f"{reference} is not periodic, or does not say its temperature, so that its cell cannot be repeated")
    atoms = supercell(start_of(runs[0], len(runs[0]) // 2), repeats, temperature, seed=run.seed)
    label = f"{len(atoms)} atoms, {run.duration / 1000:g} ps at {temperature:g} K, {run.label(how)}"
    output = None if run.rollouts is None else run.rollouts / f"{len(atoms)}-atoms-{run.file_name(how)}"
    found = simulate(
        model, atoms, ensemble="nvt", temperature=temperature, velocities="start",
        thermostat=run.thermostat, thermostat_time=run.thermostat_time,
        equilibration=whole_steps(_WARM_UP, how.interval), duration=whole_steps(run.duration, how.interval), **how.options,
        save_every=spacing_of(how.interval, runs[0].spacing), seed=run.seed,
        output=output, resume=output is not None,
    )  # fmt: skip
    check_rollout(found, run.duration)
    table.add(f"{label}: lost", len(found.stopped), "of 1", at_most=0, seeds=1)
    if found.stopped:
        return
    ours = next(iter(found.trajectories()))
    size = -(-len(ours) // _PIECES)
    pieces = [ours.frames(first, first + size) for first in range(0, len(ours), size)]
    distance, error = radial_distance(pieces, runs)
    table.add(f"{label}: RDF L1 distance from the small cell", distance, "%", at_most=2.0, seeds=len(pieces), error=error)
    warm = [run_temperatures(piece, conserved_by([ours])) for piece in pieces]
    for element in warm[0]:
        mean, error = mean_and_error([100.0 * (each[element] / temperature - 1.0) for each in warm])
        table.add(f"{label}: temperature of {element}, deviation", mean, "%", at_most=2.0, seeds=len(warm), error=error)
    calculator = runs[0].provenance.get("calculator")
    if calculator is not None:
        slope, _ = energy_drift([ours], CalculatorConfig.model_validate(calculator), potential_only=True)
        table.add(f"{label}: slope of the potential energy", slope, "meV/atom/ps", seeds=1)
