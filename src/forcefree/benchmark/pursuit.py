"""Rollouts from held-out frames beside the very run: how soon single trajectories part, and whether structure and heat stay right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forcefree.analysis.verdict import mean_and_error
from forcefree.benchmark.bulk import energy_drift, follow, free_flight, radial_distance, structure_label
from forcefree.benchmark.propagation import Propagation
from forcefree.benchmark.table import Table
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.reference.config import CalculatorConfig
from forcefree.reference.summary import temperatures


def pieces_of(runs: Sequence[Trajectory], duration: float, propagators: Sequence[Propagation] = (), known: int = 0) -> list[Trajectory]:
    """The runs cut into pieces of ``duration`` fs that share no frame, with ``known`` frames more before each.

    Raises:
        ForcefreeError: If no run is as long, the frames are too far apart, or a step is longer or no multiple of their spacing.
    """
    for how in propagators:
        multiple = how.interval / runs[0].spacing
        if how.interval > duration or abs(multiple - round(multiple)) > 1e-6:
            raise ForcefreeError(
                f"{duration:g} fs of frames {runs[0].spacing:g} fs apart cannot be followed in steps of {how.interval:g} fs; "
                "follow for longer, in steps that are a multiple of the spacing"
            )
    frames = round(duration / runs[0].spacing) + 1 + known
    if frames < 3 + known:
        raise ForcefreeError(f"{duration:g} fs are too short to follow by frames that are {runs[0].spacing:g} fs apart")
    found = [run.frames(first, first + frames) for run in runs for first in range(0, len(run) - frames + 1, frames)]
    if not found:
        raise ForcefreeError(f"no held-out run lasts {duration:g} fs; the first lasts {runs[0].times[-1] - runs[0].times[0]:g} fs")
    return found


def pursuit_rows(table: Table, model: Forecaster, pieces: Sequence[Trajectory], propagators: Sequence[Propagation]) -> None:
    """Follow pieces of held-out runs in NVE, beside free flight; a model of several frames knows the first of a piece beforehand."""
    known = model.card.history_length - 1
    earlier = [piece.frames(0, known) for piece in pieces] if known else []
    pieces = [piece.frames(known, len(piece)) for piece in pieces]
    calculator = pieces[0].provenance.get("calculator")
    label = f"{(pieces[0].times[-1] - pieces[0].times[0]) / 1000:g} ps from held-out frames"
    names = sorted({piece.name for piece in pieces})
    if len(names) > 1:
        sides = [[piece for piece in pieces if piece.name in names[half::2]] for half in (0, 1)]
        distance, error = radial_distance(*sides)
        table.add(
            f"{label}, one half of the runs beside the other: {structure_label(pieces)}", distance, "%", seeds=len(names), error=error
        )
    _compare(table, f"{label}, no skill, free flight", [free_flight(piece) for piece in pieces], pieces)
    for how in propagators:
        named = f"{label}, {how.label}"
        kept = _whole_steps(pieces, how)
        found, lost = follow(model, kept, how, earlier)
        table.add(f"{named}: replicas lost", lost, f"of {len(kept)}", at_most=0, seeds=len(kept))
        if lost:
            continue
        _compare(table, named, found, kept)
        if calculator is not None:
            slope, error = energy_drift(found, CalculatorConfig.model_validate(calculator))
            table.add(f"{named}: energy drift", slope, "meV/atom/ps", at_most=1.0, seeds=len(found), error=error)


def _whole_steps(pieces: Sequence[Trajectory], how: Propagation) -> list[Trajectory]:
    """Pieces that end with a whole number of steps, recorded at every step."""
    stride = max(1, round(how.interval / pieces[0].spacing))
    return [piece.frames(0, (len(piece) - 1) // stride * stride + 1, stride) for piece in pieces]


def _compare(table: Table, label: str, found: Sequence[Trajectory], truth: Sequence[Trajectory]) -> None:
    away = [
        float(np.sqrt(((one.positions[-1] - other.positions[-1]) ** 2).sum(axis=-1).mean()))
        for one, other in zip(found, truth, strict=True)
    ]
    mean, error = mean_and_error(away)
    table.add(f"{label}: distance from the true atom at the end, rms", mean, "Å", seeds=len(away), error=error)
    distance, spread = radial_distance(found, truth)
    table.add(f"{label}: {structure_label(truth)}", distance, "%", seeds=len(found), error=spread)
    warmer = [float(temperatures(one).mean() / temperatures(other).mean() - 1.0) for one, other in zip(found, truth, strict=True)]
    mean, error = mean_and_error([100.0 * value for value in warmer])
    table.add(f"{label}: temperature, deviation", mean, "%", seeds=len(warmer), error=error)
