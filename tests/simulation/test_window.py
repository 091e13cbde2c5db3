"""The window propagator: a history that survives thermostats, restarts and other programs, and a start that is said clearly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from forcefree.data.h5md import read_store, write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.simulation import Window, make_propagator, simulate
from forcefree.simulation.checkpoint import checkpoint_path, read_checkpoint
from forcefree.simulation.progress import Clock, Progress
from forcefree.state import State
from oracles import ATOMS, Springs, phantom, phantom_start

TIMING = {"history_length": 3, "history_spacing": 2.0, "fixed_times": [2.0, 4.0, 6.0, 8.0]}
OPTIONS = {"temperature": 300.0, "duration": 400.0, "replicas": 3, "guards": False, "save_every": 4.0, "thermostat_time": 100.0}


class Verlet(Springs):
    """Springs that are told positions alone: velocities and forces are found from the window."""

    def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
        before, last = history[-2], history[-1]
        spacing = float(self.card.history_spacing or 0.0)
        omega = self.frequencies[1:, None]
        q, earlier = (self.into @ state.positions.view(-1, len(ATOMS), 3) for state in (last, before))
        p = (q[:, 1:] * torch.cos(omega * spacing) - earlier[:, 1:]) * omega / torch.sin(omega * spacing)
        drift = (q[:, :1] - earlier[:, :1]) / spacing
        velocities = (self.out @ torch.cat([drift, p], dim=1)).reshape(-1, 3)
        moved, faster = super().departures((last.with_(velocities=velocities),), times)
        given = times[:, last.system, None] * (velocities - last.velocities)
        return moved + given, faster + velocities - last.velocities


def windowed() -> Verlet:
    return Verlet(ATOMS, **(TIMING | {"t_max": 8.0}))


def past(state: State, frames: int = 3, spacing: float = 2.0) -> tuple[State, ...]:
    """The exact past of a phantom, as the time-reversed future."""
    back = state.with_(velocities=-state.velocities)
    earlier = []
    for index in range(frames - 1, 0, -1):
        frame = phantom().propagate(back, index * spacing)
        earlier.append(frame.with_(velocities=-frame.velocities, time=state.time - index * spacing))
    return (*earlier, state)


@pytest.fixture
def moving() -> State:
    state = phantom_start()
    velocities = 0.01 * torch.randn(state.n_atoms, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return state.with_(velocities=velocities - state.mean_by_mass(velocities))


def test_steps_of_a_window_are_the_exact_flow(moving: State) -> None:
    propagator = Window(windowed(), 8.0)
    propagator.begin(past(moving))
    state = moving
    for _ in range(25):
        state = propagator.step(state)

    exact = moving
    for _ in range(10):
        exact = phantom().propagate(exact, 20.0)
    torch.testing.assert_close(state.positions, exact.positions, rtol=0.0, atol=1e-8)
    torch.testing.assert_close(state.velocities, exact.velocities, rtol=0.0, atol=1e-9)
    assert float(state.time[0]) == 200.0


@pytest.mark.parametrize("interval", [2.0, 4.0, 8.0])
def test_the_history_is_the_last_frames_of_past_and_forecast(moving: State, interval: float) -> None:
    propagator = Window(windowed(), interval)
    propagator.begin(past(moving))

    after = propagator.step(moving)

    for found, wanted in zip(propagator.history(after), past(phantom().propagate(moving, interval)), strict=True):
        torch.testing.assert_close(found.positions, wanted.positions, rtol=0.0, atol=1e-10)
        torch.testing.assert_close(found.velocities, wanted.velocities, rtol=0.0, atol=1e-10)
        torch.testing.assert_close(found.time, wanted.time)


def test_a_kick_leaves_what_the_forces_did(moving: State) -> None:
    """Departures of the past from the free flight of the last frame, before and after a thermostat."""
    propagator = Window(windowed(), 8.0)
    propagator.begin(past(moving))
    kicked = moving.with_(velocities=1.3 * moving.velocities + 0.002)

    found = propagator.history(kicked)

    assert torch.equal(found[-1].velocities, kicked.velocities)
    for before, after in zip(past(moving), found, strict=True):
        age = float(before.time[0] - moving.time[0])
        for state, last, sign in ((before, moving, 1.0), (after, kicked, -1.0)):
            departure = state.positions - last.positions - age * last.velocities
            before_after = departure if sign > 0 else before_after - departure  # noqa: F821 (set in the first turn)
        assert float(before_after.abs().max()) < 1e-12
        torch.testing.assert_close(after.velocities - kicked.velocities, before.velocities - moving.velocities, rtol=0.0, atol=1e-14)


def test_a_system_that_was_put_elsewhere_begins_from_straight_flight(moving: State) -> None:
    two = moving.repeat(2)
    propagator = Window(windowed(), 8.0)
    propagator.begin(tuple(frame.repeat(2) for frame in past(moving)))
    positions = two.positions.clone()
    positions[2, 0] += 0.5

    first = propagator.history(two.with_(positions=positions))[0]

    untouched = past(moving)[0]
    torch.testing.assert_close(first.positions[9:], untouched.positions, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(first.positions[:9], positions[:9] - 4.0 * moving.velocities, rtol=0.0, atol=1e-12)
    assert torch.equal(first.velocities[:9], moving.velocities)


class _Interrupted(Exception):  # noqa: N818 (stands for a kill)
    pass


def _run(output: Path, moving: State, *, stop: int | None = None, resume: bool = False, **options: object) -> None:
    def tell(report: Progress) -> None:
        if stop is not None and report.step == stop:
            raise _Interrupted

    simulate(windowed(), past(moving), output=output, resume=resume, progress=tell, checkpoint_every=0.0, **(OPTIONS | options))


@pytest.mark.parametrize("thermostat", ["csvr", "csvr-elements", "langevin"])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, moving: State, monkeypatch: pytest.MonkeyPatch, thermostat: str) -> None:
    whole, parts = tmp_path / "whole.h5", tmp_path / "parts.h5"
    _run(whole, moving, thermostat=thermostat)
    counted = [0]

    def tick(_: Clock, __: int) -> tuple[bool, bool]:
        counted[0] += 1
        return True, counted[0] % 5 == 0

    monkeypatch.setattr(Clock, "tick", tick)
    for step in (7, 18, 33):
        with pytest.raises(_Interrupted):
            _run(parts, moving, stop=step, resume=True, thermostat=thermostat)
    _run(parts, moving, resume=True, thermostat=thermostat)

    for mine, theirs in zip(read_store(parts), read_store(whole), strict=True):
        assert len(mine) == 101
        for noun in ("times", "positions", "velocities"):
            np.testing.assert_array_equal(getattr(mine, noun), getattr(theirs, noun))
    assert whole.with_suffix(".csv").read_bytes() == parts.with_suffix(".csv").read_bytes()


def test_without_its_history_a_run_would_go_on_differently(tmp_path: Path, moving: State) -> None:
    output = tmp_path / "t.h5"
    _run(output, moving, duration=80.0)
    tensors = read_checkpoint(checkpoint_path(output)).tensors

    assert tensors["window_positions"].shape == (3, 27, 3)
    assert not torch.equal(tensors["window_positions"][0], tensors["window_positions"][2])
    other = tuple(frame.with_(positions=frame.positions + 1e-9) if index == 0 else frame for index, frame in enumerate(past(moving)))
    with pytest.raises(ForcefreeError, match="was made from another start"):
        simulate(windowed(), other, output=output, resume=True, **(OPTIONS | {"duration": 160.0}))


def test_a_run_goes_on_from_the_end_of_a_trajectory(tmp_path: Path, moving: State) -> None:
    frames = past(moving, frames=9, spacing=1.0)
    write_store(tmp_path / "start.h5", [_trajectory(frames)])

    ended = simulate(windowed(), tmp_path / "start.h5", ensemble="nve", duration=40.0, guards=False)

    exact = phantom().propagate(phantom().propagate(moving, 20.0), 20.0)
    torch.testing.assert_close(ended.state.positions, exact.positions, rtol=0.0, atol=1e-9)


def _trajectory(frames: tuple[State, ...]) -> Trajectory:
    first = frames[0]
    return Trajectory(
        "run",
        first.numbers.numpy(),
        first.masses.numpy(),
        np.array([float((frame.time - first.time)[0]) for frame in frames]),
        np.stack([frame.positions.numpy() for frame in frames]),
        np.stack([frame.velocities.numpy() for frame in frames]),
    )


def test_one_frame_is_enough_where_another_model_makes_the_first_window(moving: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forcefree.simulation.beginning.load", lambda source: {"exact": phantom()}[source])

    ended = simulate(windowed(), moving, ensemble="nve", duration=40.0, guards=False, bootstrap="exact")

    exact = moving
    for _ in range(4):
        exact = phantom().propagate(exact, 11.0)
    torch.testing.assert_close(ended.state.positions, exact.positions, rtol=0.0, atol=1e-9)
    assert float(ended.state.time[0]) == 40.0


def test_the_reference_of_the_card_can_make_the_first_window() -> None:
    model = windowed()
    model.card = model.card.model_copy(update={"calculator": {"name": "springs:Springs", "options": {"stiffness": 0.5, "length": 0.0}}})
    replicas = simulate(model, phantom_start(2), duration=8.0, temperature=200.0, ensemble="nve", guards=False, bootstrap="reference")
    assert bool(replicas.state.positions.isfinite().all())
    assert not torch.equal(replicas.state.velocities[:9], replicas.state.velocities[9:])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "starts from 3 frames 2 fs apart; start from a trajectory"),
        ({"bootstrap": "reference"}, "names no calculator to bootstrap with"),
        ({"bootstrap": "nothing"}, "model file nothing does not exist"),
        ({"propagator": "direct"}, "forecasts from 3 frames; this propagator serves models of one frame"),
        ({"interval": 3.0}, "has no forecast at 3 fs"),
        ({"save_every": 1.0}, "forecasts at fixed times only; save every 8 fs"),
    ],
)
def test_starts_and_steps_that_cannot_be_are_said(moving: State, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        simulate(windowed(), moving, **({"ensemble": "nve", "duration": 40.0, "guards": False} | options))


def test_stores_that_cannot_start_a_run_are_said(tmp_path: Path, moving: State) -> None:
    write_store(tmp_path / "short.h5", [_trajectory(past(moving, frames=2))])
    write_store(tmp_path / "coarse.h5", [_trajectory(past(moving, frames=5, spacing=3.0))])
    for name, sentence in (("short", "needs 3 frames 2 fs apart with velocities"), ("coarse", "has frames 3 fs apart")):
        with pytest.raises(ForcefreeError, match=sentence):
            simulate(windowed(), tmp_path / f"{name}.h5", **OPTIONS)
    with pytest.raises(ForcefreeError, match="cannot be drawn for a start of several frames"):
        simulate(windowed(), past(moving), **(OPTIONS | {"velocities": "maxwell-boltzmann"}))
    with pytest.raises(ForcefreeError, match=r"the start has all first frames, so bootstrap \(reference\) has none to make"):
        simulate(windowed(), past(moving), **(OPTIONS | {"bootstrap": "reference"}))


def test_a_window_is_taken_from_the_first_trajectory_that_no_guard_stopped(tmp_path: Path, moving: State) -> None:
    good = _trajectory(past(moving))
    lost = replace(good, name="lost", positions=good.positions + 1.0, provenance={"stopped": "it boiled"})
    write_store(tmp_path / "t.h5", [lost, replace(good, name="whole")])
    told: list[str] = []

    options = {"ensemble": "nve", "duration": 8.0, "guards": False, "save_every": 4.0}
    [run] = simulate(windowed(), tmp_path / "t.h5", notice=told.append, **options).trajectories()

    np.testing.assert_array_equal(run.positions[0], good.positions[-1])
    assert told == [f"'lost' of {tmp_path / 't.h5'} is left out, because a guard stopped it"]


def test_auto_takes_the_window_for_models_of_several_frames_alone() -> None:
    assert make_propagator(windowed()).describe() == {"name": "window", "interval": 8.0}
    one: Forecaster = phantom()
    with pytest.raises(ForcefreeError, match="serves models of several frames"):
        make_propagator(one, "window")
    with pytest.raises(ForcefreeError, match=r"corrections \(1\) belong to the reversible propagator, not to window"):
        make_propagator(windowed(), corrections=1)


def test_a_lost_replica_rests_and_neither_the_others_nor_the_model_see_its_last_frames(moving: State) -> None:
    class Losing(Verlet):
        lost, seen = 1e9, True

        def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
            self.seen &= all(bool((frame.positions + frame.velocities).isfinite().all()) for frame in history)
            positions, velocities = super().departures(history, times)
            if float(history[-1].time.max()) >= self.lost:
                positions[:, 9:18] = torch.nan
            return positions, velocities

    pairs = [f"{a}-{b}" for a in (1, 6, 8) for b in (1, 6, 8)]
    guards = {"closest": dict.fromkeys(pairs, 0.0), "longest_bond": dict.fromkeys(pairs, 100.0), "max_temperature": 1e4}
    model = Losing(ATOMS, **(TIMING | {"t_max": 8.0, "guards": guards}))
    options = OPTIONS | {"guards": True, "duration": 80.0}
    whole = list(simulate(model, past(moving), **options).trajectories())
    model.lost = 40.0

    broken = simulate(model, past(moving), **options)

    assert list(broken.stopped) == [1]
    assert model.seen
    assert [len(run) for run in broken.trajectories()] == [21, 11, 21]
    for one, other in zip(whole, broken.trajectories(), strict=True):
        np.testing.assert_array_equal(one.positions[: len(other)], other.positions)
        np.testing.assert_array_equal(one.velocities[: len(other)], other.velocities)
