"""``forcefree benchmark materials``: a model of a crystal, a liquid or a molecule, judged part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import typer
from ase import Atoms

from forcefree.analysis.verdict import mean_and_error
from forcefree.benchmark.bulk import start_of
from forcefree.benchmark.canonical import CanonicalRun, blind_rows, canonical_rows
from forcefree.benchmark.cell_sizes import SizeSpeed, exponent, measure_size, supercell
from forcefree.benchmark.large_cell import large_rows
from forcefree.benchmark.materials_targets import SINGLE_STEP
from forcefree.benchmark.propagation import Propagation
from forcefree.benchmark.pursuit import pieces_of, pursuit_rows
from forcefree.benchmark.single_step import PAST, Errors, StepError, draw_windows, dynamics_errors, extrapolation_errors, model_errors
from forcefree.benchmark.table import Table
from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.files import load
from forcefree.models.forecaster import Forecaster
from forcefree.reference.config import CalculatorConfig, ReferenceConfig
from forcefree.reference.starts import find_start
from forcefree.simulation.building import find_device
from forcefree.simulation.compilation import CompilationError, can_compile
from forcefree.state import State

_GROUPS = 4
"""Disjoint sets of held-out runs at most, whose scatter is the error of a row."""

_LARGE = 1000
"""Atoms from which on the exponent of the cost is fitted."""

_COSTLY = 2
"""Batches of starts of each group from which true dynamics is run."""

_ROOM = 24.0
"""GiB in which the largest cell must run."""

_BUDGET = 10.0
"""Seconds of each timing."""


@dataclass(frozen=True)
class MaterialsProtocol:
    """What is to be done; each part is left out where its input is.

    Attributes:
        name: Of the system; published figures stand beside those of quartz and water.
        models: Files or bundled names; several are training seeds of one.
        held_out: NVE runs that no model saw, for single steps and rollouts beside the very run.
        times: fs, of the single steps; the longest forecast that all models have where none is given.
        windows: Starts of the single steps.
        peers: Reference configurations (YAML) of other potentials, which run single steps from some of the same starts.
        pursuit: fs, length of the rollouts that start in the held-out runs; zero leaves them out.
        reference: NVT runs beside which canonical rollouts are set.
        propagators: For all rollouts; what the model's card recommends where none is given.
        canonical: How the canonical rollouts are run.
        large: Repeats of the reference's cell in each direction, of which one canonical rollout is made instead where it is above one.
        cells: Repeats of the cell in each direction, for the table of speeds.
        start: Structure file or bundled name of that cell; the first frame of the runs where it is not given.
        timestep: fs, of the force network in the table of speeds; that of the runs where it is not given.
        device: ``cpu`` or ``cuda``, of the table of speeds.
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
    large: int = 1
    cells: tuple[int, ...] = ()
    start: str | None = None
    timestep: float | None = None
    device: str = "cpu"


def run_materials(protocol: MaterialsProtocol, table: Table) -> None:
    """Fill the table part by part and save it after each.

    Raises:
        ForcefreeError: If nothing is asked for, a file or a model cannot be used, or the two do not fit together.
    """
    if protocol.held_out is None and protocol.reference is None and not (protocol.cells and protocol.start):
        raise ForcefreeError("nothing to compare with; give --held-out runs, a --reference, or --cells and a --start")
    if protocol.canonical.rollouts is not None and protocol.reference is None:
        raise ForcefreeError(
            f"only canonical rollouts are kept in {protocol.canonical.rollouts}; give the --reference that they stand beside"
        )
    if find_device(protocol.device).type not in ("cpu", "cuda"):
        raise ForcefreeError(f"speeds are measured on cpu or cuda, not on '{protocol.device}'")
    models = [load(name) for name in protocol.models]
    held_out = [] if protocol.held_out is None else list(read_store(protocol.held_out))
    reference = None if protocol.reference is None else next(iter(read_store(protocol.reference)))
    times = sorted(protocol.times) or [min(model.card.t_max for model in models)]
    if protocol.reference is not None or protocol.cells:
        _check_one_frame(models)
    _check(models, times, [*held_out[:1], *([] if reference is None else [reference])])
    _check_cells(protocol, reference, held_out)
    cell = find_start(protocol.start) if protocol.start else None
    if cell is not None and not cell.pbc.all():
        raise ForcefreeError(
            f"the start '{protocol.start}' is not periodic in three directions; this benchmark is for crystals and liquids"
        )
    propagators = protocol.propagators or (Propagation.usual(models[0]),)
    peers = {path.stem: ReferenceConfig.read(path) for path in protocol.peers}
    known = models[0].card.history_length - 1
    pieces = pieces_of(held_out, protocol.pursuit, propagators, known) if protocol.pursuit and held_out else []
    if pieces or protocol.reference is not None or protocol.cells:
        for how in propagators:
            how.check(models[0])
    if held_out:
        single_step_rows(table, models, held_out, times, protocol.windows, SINGLE_STEP.get(protocol.name, {}), peers)
        table.save()
    if pieces:
        pursuit_rows(table, models[0], pieces, propagators)
        table.save()
    if protocol.reference is not None:
        _canonical_parts(table, models[0], protocol.reference, propagators, protocol)
    if protocol.cells:
        runs = [*([] if reference is None else [reference]), *held_out]
        own = float(runs[0].provenance.get("timestep", 0.0)) if runs else 0.0
        step = protocol.timestep or own or None
        size_rows(table, models[0], cell or start_of(runs[0]), propagators, protocol.cells, step, protocol.device)
        table.save()


def _canonical_parts(
    table: Table, model: Forecaster, reference: Path, propagators: Sequence[Propagation], protocol: MaterialsProtocol
) -> None:
    """Canonical rollouts of the reference's own cell, and of a larger one where that is asked for."""
    if protocol.large == 1:
        blind_rows(table, model, reference, protocol.canonical)
    for how in propagators:
        if protocol.large == 1:
            canonical_rows(table, model, reference, how, protocol.canonical)
        else:
            large_rows(table, model, reference, how, protocol.canonical, protocol.large)
        table.save()


def _check_cells(protocol: MaterialsProtocol, reference: Trajectory | None, held_out: Sequence[Trajectory]) -> None:
    """Refuse to repeat a cell that is not there."""
    if protocol.large > 1 and (reference is None or not reference.pbc.all()):
        raise ForcefreeError("a larger cell needs canonical runs of a periodic system; give a --reference of one, or leave --large out")
    runs = [*([] if reference is None else [reference]), *held_out[:1]]
    if protocol.cells and protocol.start is None and not runs[0].pbc.all():
        raise ForcefreeError(f"'{runs[0].name}' has no cell that could be repeated; give a --start that has one, or leave --cells out")


def _check(models: Sequence[Forecaster], times: Sequence[float], runs: Sequence[Trajectory]) -> None:
    """Refuse before the first forecast what would fail after many."""
    for model in models:
        card = model.card
        if card.history_length > PAST or (card.history_spacing is not None and abs(card.history_spacing - runs[0].spacing) > 1e-6):
            raise ForcefreeError(
                f"{card.name} starts from {card.history_length} frames {card.history_spacing:g} fs apart; this benchmark is for models of one "
                "frame, or of two as far apart as those of the held-out runs"
            )
        if max(times) > model.card.t_max * (1.0 + 1e-9):
            raise ForcefreeError(f"{model.card.name} forecasts up to {model.card.t_max:g} fs, not {max(times):g} fs; ask for shorter times")
    for run in runs:
        if run.pbc.any() and not run.pbc.all():
            raise ForcefreeError(f"'{run.name}' is periodic in some directions only; this benchmark is for crystals, liquids and molecules")


def _check_one_frame(models: Sequence[Forecaster]) -> None:
    """Canonical rollouts and speeds start from structures, which have one frame."""
    for model in models:
        if model.card.history_length > 1:
            raise ForcefreeError(
                f"{model.card.name} starts from {model.card.history_length} frames; give it --held-out runs alone, not a --reference or --cells"
            )


def single_step_rows(
    table: Table,
    models: Sequence[Forecaster],
    runs: Sequence[Trajectory],
    times: Sequence[float],
    windows: int,
    published: dict[float, StepError],
    peers: Mapping[str, ReferenceConfig],
) -> None:
    """Errors of single forecasts beside free flight, constant acceleration, other potentials and the reference at other steps.

    Args:
        table: Gets the rows; their errors are over disjoint sets of runs.
        models: Trainings of one model.
        runs: That none of them saw.
        times: fs, rising.
        windows: Starts in all; true dynamics is run from a few of them.
        published: Targets.
        peers: Other potentials by name.
    """
    groups = [runs[index::_GROUPS] for index in range(min(_GROUPS, len(runs)))]
    batches = [draw_windows(group, times, -(-windows // len(groups)), seed) for seed, group in enumerate(groups)]
    ours = [[model_errors(model, batch, times) for batch in batches] for model in models]
    per_group = [{time: StepError.mean([seed[row][time] for seed in ours]) for time in times} for row in range(len(batches))]
    label = models[0].card.name + (f", mean of {len(models)} trainings" if len(models) > 1 else "")
    _step_rows(table, label, per_group, published)
    for other, accelerated in (("no skill, free flight", False), ("constant acceleration of the last two frames", True)):
        _step_rows(table, other, [extrapolation_errors(batch, times, accelerated=accelerated) for batch in batches])
    few = [batch[:_COSTLY] for batch in batches]
    for other, config, step in [*_peers(peers), *_at_other_steps(runs[0])]:
        fitting = [time for time in times if abs(round(time / step) * step - time) < 1e-6]
        if fitting:
            _step_rows(table, other, [dynamics_errors(batch, fitting, config, step) for batch in few])


def _peers(peers: Mapping[str, ReferenceConfig]) -> list[tuple[str, CalculatorConfig, float]]:
    return [(f"peer, {name}", peer.calculator, peer.timestep) for name, peer in peers.items()]


def _at_other_steps(run: Trajectory) -> list[tuple[str, CalculatorConfig, float]]:
    """The run's own potential at half and at five times its time step (fs), where the run says both."""
    calculator, timestep = run.provenance.get("calculator"), run.provenance.get("timestep")
    if calculator is None or timestep is None:
        return []
    config = CalculatorConfig.model_validate(calculator)
    steps = (("half", 0.5 * float(timestep)), ("five times", 5.0 * float(timestep)))
    return [(f"reference at {noun} its time step ({step:g} fs)", config, step) for noun, step in steps]


def size_rows(
    table: Table,
    model: Forecaster,
    cell: Atoms,
    propagators: Sequence[Propagation],
    cells: Sequence[int],
    timestep: float | None,
    device: str = "cpu",
) -> None:
    """Speed of the propagators as the cell grows, the first beside a force network of like architecture with a time step in fs."""
    found = []
    for repeats in sorted(cells):
        atoms = supercell(cell, repeats, 300.0)
        for how in propagators:
            first = how is propagators[0]
            one = measure_size(model, atoms, how, timestep if first else None, _BUDGET, device)
            _size_row(table, one, how, timestep, device)
            if device == "cpu" and can_compile(model, State.from_atoms([atoms])):
                _compiled_row(table, model, atoms, how)
            table.save()
            if first:
                found.append(one)
    large = [one for one in found if one.atoms >= _LARGE]
    if len(large) > 1:
        table.add(f"exponent of the time of a step from {_LARGE} atoms on", exponent(large), "", at_most=1.1, seeds=len(large))


def _compiled_row(table: Table, model: Forecaster, atoms: Atoms, how: Propagation) -> None:
    label = f"{len(atoms)} atoms, {how.label}, compiled"
    try:
        fast = measure_size(model, atoms, how, None, _BUDGET, compiled=True)
    except CompilationError as error:
        typer.echo(f"{label}: no row, because {error}", err=True)
        return
    table.add(f"{label}: speed by processor time", fast.nanoseconds, "ns/day", seeds=1)


def _size_row(table: Table, one: SizeSpeed, how: Propagation, timestep: float | None, device: str) -> None:
    label = f"{one.atoms} atoms, {how.label}"
    if device == "cpu":
        by = "by processor time"
        table.add(f"{label}, {torch.get_num_threads()} core(s): speed by the clock", one.clock, "ns/day", seeds=1)
    else:
        by = f"on {torch.cuda.get_device_name(device)}"
    table.add(f"{label}: speed {by}", one.nanoseconds, "ns/day", seeds=1)
    table.add(f"{label}: atom steps {by}" if device != "cpu" else f"{label}: atom steps", one.atoms / one.step, "1/s", seeds=1)
    if one.forced is not None:
        table.add(f"{one.atoms} atoms, force network, {timestep:g} fs: speed {by}", one.forced, "ns/day", seeds=1)
        table.add(f"{label}: over the force network", one.nanoseconds / one.forced, "x", seeds=1)
    whose, room = ("of the process", _ROOM) if device == "cpu" else ("of the GPU", None)
    table.add(f"{label}: peak memory {whose}", one.memory, "GiB", at_most=room, seeds=1)


def _step_rows(table: Table, label: str, groups: Sequence[Errors], published: dict[float, StepError] | None = None) -> None:
    for time in groups[0]:
        target = (published or {}).get(time)
        for noun in ("displacement", "velocity"):
            limit = None if target is None else float(getattr(target, noun))
            mean, error = mean_and_error([float(getattr(group[time], noun)) for group in groups])
            figure = f"{label}: relative {noun} MAE at {time:g} fs"
            table.add(figure, mean, "%", at_most=limit, seeds=len(groups), error=error if len(groups) > 1 else None)
