"""Rollouts beside the very run: nothing parts where the dynamics is that of the run, and what is lost is not judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from forcefree.benchmark.bulk import follow
from forcefree.benchmark.free_flight import FreeFlight
from forcefree.benchmark.propagation import Propagation
from forcefree.benchmark.pursuit import pieces_of, pursuit_rows
from forcefree.benchmark.table import Row, Table
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.forecaster import Departures
from forcefree.state import State
from forcefree.units import KINETIC_UNIT

TURN = 0.03
"""rad/fs."""

SITES = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]])
CARD = Card(name="x", model="x", species=[8], t_max=20.0, cutoff=4.0)


def swinging(seed: int, frames: int = 41) -> Trajectory:
    """Four atoms in a box that swing about their sites."""
    rng = np.random.default_rng(seed)
    away, speed = (part - part.mean(axis=0) for part in 0.1 * rng.normal(size=(2, 4, 3)))
    times = 5.0 * np.arange(frames)
    angle = TURN * times[:, None, None]
    positions = SITES + away * np.cos(angle) + speed * np.sin(angle)
    velocities = TURN * (speed * np.cos(angle) - away * np.sin(angle))
    return Trajectory(
        f"run_{seed}", np.full(4, 8), np.full(4, 15.999), times, positions, velocities, cell=8.0 * np.eye(3), pbc=np.ones(3, dtype=bool)
    )


class Swing(FreeFlight):
    """The dynamics of the runs, from velocities that keep their place in the swing; lost beyond a displacement of ``reach`` Å."""

    reach = 9.0

    def departures(self, history: tuple[State, ...], times: torch.Tensor) -> Departures:
        state = history[-1]
        away = state.positions - torch.from_numpy(SITES).repeat(state.n_systems, 1)
        angle = TURN * times[:, state.system, None]
        moved = away * (angle.cos() - 1.0) + state.velocities * (angle.sin() - angle) / TURN
        faster = state.velocities * (angle.cos() - 1.0) - away * TURN * angle.sin()
        lost = state.sum((away.abs() > self.reach).double().sum(dim=1))[state.system, None] > 0.0
        return Departures(torch.where(lost, torch.nan, moved), faster)


def found(model: FreeFlight, pieces: list[Trajectory], how: Propagation, folder: Path) -> dict[str, Row]:
    table = Table("t", folder)
    pursuit_rows(table, model, pieces, [how])
    return {row.figure.removeprefix("0.1 ps from held-out frames, "): row for row in table.rows}


def test_exact_dynamics_never_parts_from_its_run(tmp_path: Path) -> None:
    pieces = pieces_of([swinging(0), swinging(1)], 100.0)
    rows = found(Swing(CARD), pieces, Propagation("direct", 10.0, None), tmp_path)
    assert rows["direct 10 fs: replicas lost"].measured == 0
    for figure in ("distance from the true atom at the end, rms", "RDF L1 distance", "temperature, deviation"):
        assert rows[f"direct 10 fs: {figure}"].measured == pytest.approx(0.0, abs=1e-6), figure
        assert rows[f"direct 10 fs: {figure}"].seeds == 2
    assert not any("energy drift" in figure for figure in rows), "the runs do not say their potential"


def test_straight_flight_parts_as_far_as_it_must(tmp_path: Path) -> None:
    pieces = pieces_of([swinging(0), swinging(1)], 100.0)
    rows = found(Swing(CARD), pieces, Propagation("direct", 10.0, None), tmp_path)
    away = []
    for run in pieces:
        assert run.velocities is not None
        missed = run.positions[-1] - run.positions[0] - 100.0 * run.velocities[0]
        away.append(float(np.sqrt((missed**2).sum(axis=-1).mean())))
    assert rows["no skill, free flight: distance from the true atom at the end, rms"].measured == pytest.approx(np.mean(away))
    heat = []
    for run in pieces:
        kinetic = 0.5 * KINETIC_UNIT * (run.masses[:, None] * run.velocities**2).sum(axis=(1, 2))
        heat.append(100.0 * (kinetic[0] / kinetic.mean() - 1.0))
    assert rows["no skill, free flight: temperature, deviation"].measured == pytest.approx(np.mean(heat))


def test_a_propagator_that_loses_a_replica_has_no_other_row(tmp_path: Path) -> None:
    pieces = [swinging(0, 21), swinging(1, 21)]
    model = Swing(CARD)
    model.reach = float(np.mean([np.abs(run.positions - SITES).max() for run in pieces]))
    rows = found(model, pieces, Propagation("direct", 10.0, None), tmp_path)
    lost = rows["direct 10 fs: replicas lost"]
    assert (lost.measured, lost.unit, lost.holds) == (1, "of 2", False)
    assert [figure for figure in rows if figure.startswith("direct")] == ["direct 10 fs: replicas lost"]


def test_runs_that_are_followed_are_recorded_as_they_were() -> None:
    piece = swinging(3, 21).frames(0, 21, 2)
    (ours,), lost = follow(Swing(CARD), [piece], Propagation("direct", 10.0, None))
    assert lost == 0
    np.testing.assert_allclose(ours.times - ours.times[0], piece.times)
    np.testing.assert_allclose(ours.positions, piece.positions, atol=1e-6)


def test_one_run_has_no_other_half(tmp_path: Path) -> None:
    rows = found(Swing(CARD), [swinging(0, 21)], Propagation("direct", 10.0, None), tmp_path)
    assert not any("one half" in figure for figure in rows)
    both = found(Swing(CARD), [swinging(0, 21), swinging(1, 21)], Propagation("direct", 10.0, None), tmp_path)
    assert both["one half of the runs beside the other: RDF L1 distance"].seeds == 2


def test_pieces_have_the_frames_that_a_model_knows_before_them() -> None:
    run = swinging(0)
    pieces = pieces_of([run], 30.0, known=2)
    assert [len(piece) for piece in pieces] == [9] * 4
    assert float(pieces[1].times[0]) == 45.0, "no frame is used twice"
    with pytest.raises(ForcefreeError, match="5 fs are too short to follow by frames that are 5 fs apart"):
        pieces_of([run], 5.0)
    with pytest.raises(ForcefreeError, match="5 fs are too short"):
        pieces_of([run], 5.0, known=2)


def test_the_last_frames_that_make_no_whole_step_are_left_out(tmp_path: Path) -> None:
    short = replace(swinging(0), name="a").frames(0, 21)
    rows = found(Swing(CARD), [short], Propagation("direct", 15.0, None), tmp_path)
    assert rows["direct 15 fs: distance from the true atom at the end, rms"].measured == pytest.approx(0.0, abs=1e-6)
