"""``forcefree benchmark materials``: a model of a periodic system, judged part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from forcefree.benchmark.bulk import Propagation, start_of
from forcefree.benchmark.canonical import CanonicalRun, canonical_rows
from forcefree.benchmark.cell_sizes import SizeSpeed, exponent, measure_size, supercell
from forcefree.benchmark.materials_targets import SINGLE_STEP
from forcefree.benchmark.pursuit import pieces_of, pursuit_rows
from forcefree.benchmark.single_step import Errors, StepError, draw_windows, dynamics_errors, extrapolation_errors, model_errors
from forcefree.benchmark.table import Table
from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.files import load
from forcefree.models.forecaster import Forecaster
from forcefree.reference.config import CalculatorConfig, ReferenceConfig
from forcefree.reference.starts import find_start

_GROUPS = 4
"""Disjoint sets of held-out runs at most, whose scatter is the error of a row."""

_LARGE = 1000
"""Atoms from which on the exponent of the cost is fitted."""

_COSTLY = 2
"""Batches of starts of each group from which true dynamics is run."""

_BUDGET = 10.0
"""Seconds of each timing."""


@dataclass(frozen=True)
class MaterialsProtocol:
    """What is to be done; each part is left out where its input is.

    Attributes:
        name: Of the system; published figures stand beside those of paracetamol, quartz and water.
        models: Files or bundled names; several are training seeds of one.
        held_out: NVE runs that no model saw, for single steps and rollouts beside the very run.
        times: fs, of the single steps; the longest forecast of the model where none is given.
        windows: Starts of the single steps.
        peers: Reference configurations (YAML) of other potentials, which run single steps from some of the same starts.
        pursuit: fs, length of the rollouts that start in the held-out runs; zero leaves them out.
        reference: NVT runs beside which canonical rollouts are set.
        propagators: For all rollouts; direct steps of the longest forecast where none is given.
        canonical: How the canonical rollouts are run.
        cells: Repeats of the cell in each direction, for the table of speeds.
        start: Structure file or bundled name of that cell; the first frame of the runs where it is not given.
        timestep: fs, of the force network in the table of speeds; that of the runs where it is not given.
    """

    name: str
    models: tuple[str, ...]
    held_out: Path | None = None
    times: tuple[float, ...] = ()
    windows: int = 1000
    peers: tuple[Path, ...] = ()
    pursuit: float = 0.0
    reference: Path | None = None
    propagators: tuple[Propagation, ...] = ()
    canonical: CanonicalRun = field(default_factory=CanonicalRun)
    cells: tuple[int, ...] = ()
    start: str | None = None
    timestep: float | None = None


def run_materials(protocol: MaterialsProtocol, table: Table) -> None:
    """Fill the table part by part and save it after each.

    Raises:
        ForcefreeError: If nothing is asked for, or a file or a model cannot be used.
    """
    if protocol.held_out is None and protocol.reference is None and not (protocol.cells and protocol.start):
        raise ForcefreeError("nothing to compare with; give --held-out runs, a --reference, or --cells and a --start")
    models = [load(name) for name in protocol.models]
    propagators = protocol.propagators or (Propagation("direct", models[0].card.t_max, None),)
    if protocol.held_out is not None:
        held_out = list(read_store(protocol.held_out))
        pieces = pieces_of(held_out, protocol.pursuit) if protocol.pursuit else []
        single_step_rows(table, protocol, models, held_out)
        table.save()
        if pieces:
            pursuit_rows(table, models[0], pieces, propagators)
            table.save()
    if protocol.reference is not None:
        for how in propagators:
            canonical_rows(table, models[0], protocol.reference, how, protocol.canonical)
            table.save()
    if protocol.cells:
        path = protocol.reference or protocol.held_out
        run = None if path is None else next(iter(read_store(path)))
        cell = find_start(protocol.start) if protocol.start else start_of(_known(run))
        timestep = protocol.timestep or (float(run.provenance.get("timestep", 0.0)) if run is not None else 0.0)
        size_rows(table, models[0], cell, propagators, protocol.cells, timestep or None)
        table.save()


def single_step_rows(table: Table, protocol: MaterialsProtocol, models: Sequence[Forecaster], runs: Sequence[Trajectory]) -> None:
    """Errors of single forecasts beside free flight, constant acceleration, other potentials and, where its calculator is known, the reference."""
    groups = [runs[index::_GROUPS] for index in range(min(_GROUPS, len(runs)))]
    share = -(-protocol.windows // len(groups))
    times = sorted(protocol.times) or [models[0].card.t_max]
    batches = [draw_windows(group, times, share, seed) for seed, group in enumerate(groups)]
    published = SINGLE_STEP.get(protocol.name, {})
    ours = [[model_errors(model, batch, times) for batch in batches] for model in models]
    per_group = [{time: StepError.mean([seed[row][time] for seed in ours]) for time in ours[0][0]} for row in range(len(batches))]
    label = models[0].card.name + (f", mean of {len(models)} trainings" if len(models) > 1 else "")
    _step_rows(table, label, per_group, published)
    for other, accelerated in (("no skill, free flight", False), ("constant acceleration of the last two frames", True)):
        _step_rows(table, other, [extrapolation_errors(batch, times, accelerated=accelerated) for batch in batches])
    others = {path.stem: ReferenceConfig.read(path) for path in protocol.peers}
    dynamics = [(f"peer, {name}", other.calculator, other.timestep) for name, other in others.items()]
    calculator = runs[0].provenance.get("calculator")
    if calculator is not None:
        config, timestep = CalculatorConfig.model_validate(calculator), float(runs[0].provenance["timestep"])
        for noun, step in (("half", 0.5 * timestep), ("five times", 5.0 * timestep)):
            dynamics.append((f"reference at {noun} its time step ({step:g} fs)", config, step))
    few = [batch[:_COSTLY] for batch in batches]
    for other, config, step in dynamics:
        fitting = [time for time in times if abs(round(time / step) * step - time) < 1e-6]
        _step_rows(table, other, [dynamics_errors(batch, fitting, config, step) for batch in few])


def size_rows(
    table: Table, model: Forecaster, cell: Atoms, propagators: Sequence[Propagation], cells: Sequence[int], timestep: float | None
) -> None:
    """Speed of the propagators as the cell grows, the first beside a force network of like architecture with a time step in fs."""
    found = []
    for repeats in sorted(cells):
        atoms = supercell(cell, repeats, 300.0)
        for how in propagators:
            first = how is propagators[0]
            one = measure_size(model, atoms, how, timestep if first else None, _BUDGET)
            _size_row(table, one, how, timestep)
            if first:
                found.append(one)
    large = [one for one in found if one.atoms >= _LARGE]
    if len(large) > 1:
        table.add(f"exponent of the time of a step from {_LARGE} atoms on", exponent(large), "", at_most=1.1, seeds=len(large))


def _size_row(table: Table, one: SizeSpeed, how: Propagation, timestep: float | None) -> None:
    label = f"{one.atoms} atoms, {how.label}"
    table.add(f"{label}: speed", one.nanoseconds, "ns/day", seeds=1)
    table.add(f"{label}: speed by the clock on {torch.get_num_threads()} core(s)", one.clock, "ns/day", seeds=1)
    table.add(f"{label}: atom steps", one.atoms / one.step, "1/s", seeds=1)
    if one.forced is not None:
        table.add(f"{one.atoms} atoms, force network, {timestep:g} fs: speed", one.forced, "ns/day", seeds=1)
        table.add(f"{label}: over the force network", one.nanoseconds / one.forced, "x", seeds=1)
    table.add(f"{label}: peak memory", one.memory, "GiB", seeds=1)


def _known(run: Trajectory | None) -> Trajectory:
    assert run is not None
    return run


def _step_rows(table: Table, label: str, groups: Sequence[Errors], published: dict[float, StepError] | None = None) -> None:
    for time in groups[0]:
        target = (published or {}).get(time)
        for noun in ("displacement", "velocity"):
            limit = None if target is None else float(getattr(target, noun))
            values = [float(getattr(group[time], noun)) for group in groups]
            error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
            figure = f"{label}: relative {noun} MAE at {time:g} fs"
            table.add(figure, float(np.mean(values)), "%", at_most=limit, seeds=len(values), error=error)
