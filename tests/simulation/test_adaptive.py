"""Adaptive steps: only replicas that fail are done again, in halves, and neither batch-mates nor interruptions change an answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from forcefree.data.h5md import read_store
from forcefree.errors import ForcefreeError
from forcefree.simulation.adaptive import Adaptive
from forcefree.simulation.choice import make_adaptive, make_propagator
from forcefree.simulation.progress import Progress
from forcefree.simulation.propagators import Direct
from forcefree.simulation.simulate import simulate
from forcefree.state import State
from forcefree.streams import Streams
from forcefree.velocities import maxwell_boltzmann
from oracles import Springs, boxed, phantom, phantom_start
from sloppy import FREEDOM, Sloppy, changes, engine, sloppy


def start(replicas: int = 6) -> State:
    state = maxwell_boltzmann(phantom_start(replicas), 300.0, Streams(0, range(replicas)), "momentum")
    warmth = torch.linspace(0.5, 1.3, replicas, dtype=torch.float64)[state.system, None]
    return state.with_(velocities=warmth * state.velocities)


def adaptive(model: Sloppy, tolerance: float, halvings: int = 3, name: str = "direct", replicas: int = 6) -> Adaptive:
    freedom = torch.full((replicas,), FREEDOM, dtype=torch.float64)
    return make_adaptive(make_propagator(model, name, 8.0), model, tolerance, halvings, freedom, "momentum")  # type: ignore[arg-type]


def test_calm_replicas_keep_their_steps_and_restless_ones_take_halves() -> None:
    model, state = sloppy(), start()
    whole = Direct(model, 8.0).step(state)
    halves = Direct(model, 4.0).step(Direct(model, 4.0).step(state))
    limit = float(changes(model, state, whole).abs().median()) * 1.01
    restless = changes(model, state, whole).abs() > limit
    assert 0 < int(restless.sum()) < 6

    propagator = adaptive(model, limit, halvings=1)
    after = propagator.step(state)

    atoms = restless[state.system]
    assert torch.equal(after.positions[~atoms], whole.positions[~atoms])
    assert torch.equal(after.velocities[~atoms], whole.velocities[~atoms])
    torch.testing.assert_close(after.velocities[atoms], halves.velocities[atoms], rtol=0.0, atol=1e-12)
    assert torch.equal(propagator.halved, restless.to(torch.int64))
    assert after.time.tolist() == [8.0] * 6
    better = changes(model, state, after)[restless].abs() / changes(model, state, whole)[restless].abs()
    assert float(better.max()) < 0.5


@pytest.mark.parametrize("name", ["direct", "reversible"])
def test_batch_mates_do_not_count_and_every_kept_segment_is_within_the_tolerance(name: str) -> None:
    model, state = sloppy(), start()
    together = adaptive(model, 0.05, 4, name)
    many = state
    for _ in range(5):
        many = together.step(many)
    for replica in range(6):
        one = state.select(torch.arange(6) == replica)
        alone = adaptive(model, 0.05, 4, name, replicas=1)
        for _ in range(5):
            one = alone.step(one)
        own = many.system == replica
        torch.testing.assert_close(many.positions[own], one.positions, rtol=0.0, atol=1e-10)
        assert int(together.halved[replica]) == int(alone.halved[0])
    assert int(together.halved[-1]) > int(together.halved[0])
    assert int(together.strained.sum()) == 0
    segments = 5 + together.halved
    assert bool((changes(model, state, many).abs() <= 0.05 * segments).all())


def test_the_shortest_segment_is_taken_and_counted() -> None:
    propagator = adaptive(sloppy(), 1e-9, halvings=2)
    after = propagator.step(start())
    assert propagator.halved.tolist() == [3] * 6
    assert propagator.strained.tolist() == [4] * 6
    exact = start()
    for _ in range(4):
        exact = Direct(sloppy(), 2.0).step(exact)
    torch.testing.assert_close(after.velocities, exact.velocities, rtol=0.0, atol=1e-12)
    assert propagator.describe() == {"name": "direct", "interval": 8.0, "tolerance": 1e-9, "shortest": 2.0}


@pytest.mark.parametrize("name", ["direct", "reversible"])
def test_frames_of_a_halved_step_lie_on_its_halves(name: str) -> None:
    model, state = sloppy(), start()
    times = torch.tensor([1.0, 3.0, 4.0, 6.5, 8.0], dtype=torch.float64)
    frames = adaptive(model, 1e-9, 1, name).trace(state, times)
    half = make_propagator(model, name, 4.0)  # type: ignore[arg-type]
    first = half.trace(state, times[:3])
    second = half.trace(first.state(-1, state), times[3:] - 4.0)
    torch.testing.assert_close(frames.positions, torch.cat([first.positions, second.positions]), rtol=0.0, atol=1e-12)
    torch.testing.assert_close(frames.velocities, torch.cat([first.velocities, second.velocities]), rtol=0.0, atol=1e-12)
    coarse = adaptive(model, 1e-9, 1, name).trace(state, times[[1, 4]])
    torch.testing.assert_close(coarse.positions, frames.positions[[1, 4]], rtol=0.0, atol=1e-12)


def test_a_replica_that_a_whole_step_loses_is_found_again_by_shorter_ones() -> None:
    model, state = sloppy(reach=3.0), start()
    after = adaptive(model, 1e3, halvings=2).step(state)
    assert bool(after.velocities.isfinite().all())
    gone = adaptive(model, 1e3, halvings=1).step(state)
    assert bool(gone.velocities.isnan().all()), "the guards must see what shorter steps cannot save"


def test_a_tolerance_holds_the_drift_of_a_thermostatted_run_down() -> None:
    drifts = []
    for checks in ({}, {"tolerance": 0.02, "halvings": 4}):
        run = engine(sloppy(), replicas=4, thermostat_time=100.0, **checks)
        for _ in range(40):
            run.step()
        drifts.append(float(run.drift()[1].abs().mean()))
    assert drifts[1] < 0.2 * drifts[0]


def test_stopped_replicas_are_not_done_again() -> None:
    run = engine(sloppy(), replicas=3, tolerance=1e-9, halvings=1)
    run.running[1] = False
    run.step()
    assert run.adaptive.halved.tolist() == [1, 0, 1]


class Interrupted(Exception):  # noqa: N818 (stands for a kill)
    pass


def test_a_run_goes_on_bit_for_bit_with_its_counts_and_its_drift(tmp_path: Path) -> None:
    def fall(_: Progress) -> None:
        raise Interrupted

    options = {
        "temperature": 300.0, "duration": 4000.0, "replicas": 3, "guards": False, "propagator": "direct", "interval": 8.0, "tolerance": 0.05,
        "save_every": 16.0, "log_every": 80.0, "checkpoint_every": 0.02,
    }  # fmt: skip
    whole = simulate(sloppy(), phantom_start(), output=tmp_path / "whole.h5", **options)
    with pytest.raises(Interrupted):
        simulate(sloppy(), phantom_start(), output=tmp_path / "cut.h5", progress=fall, **options)
    rest = simulate(sloppy(), phantom_start(), output=tmp_path / "cut.h5", resume=True, **options)
    for one, other in zip(whole.trajectories(), rest.trajectories(), strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
        assert one.provenance["energy_drift"] == other.provenance["energy_drift"]
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "cut.csv").read_text()
    assert rest.halved == whole.halved
    assert whole.halved > 0
    assert rest.energy_drift == whole.energy_drift
    last = (tmp_path / "cut.csv").read_text().splitlines()[-3:]
    assert sum(int(row.split(",")[-2]) for row in last) == whole.halved
    assert [float(row.split(",")[-3]) for row in last] == pytest.approx(
        [4.0 * 9e-3 * rate for rate in whole.energy_drift.values()], abs=2e-6
    )
    assert [t.provenance["energy_drift"] for t in read_store(tmp_path / "cut.h5")] == list(whole.energy_drift.values())


def test_a_tolerance_below_the_error_of_the_head_is_told_about() -> None:
    model = sloppy()
    model.card = model.card.model_copy(update={"training": {"validation": {"val_change_mae": 1e-4}}})
    told: list[str] = []
    options = {"temperature": 300.0, "duration": 80.0, "guards": False, "propagator": "direct", "interval": 8.0}
    simulate(model, phantom_start(), notice=told.append, tolerance=1.0, **options)
    assert told == []
    simulate(model, phantom_start(), notice=told.append, tolerance=0.02, **options)
    assert "below the error of 0.043 meV that the energy head of springs itself makes over 20 fs" in told[0]


@pytest.mark.parametrize(
    ("model", "tolerance", "sentence"),
    [
        (phantom(), 1.0, "a tolerance needs a model with an energy head, and springs has none"),
        (boxed(fixed_times=[8.0]), 1.0, "steps of model springs cannot be halved"),
        (sloppy(), -1.0, "tolerance"),
    ],
)
def test_what_cannot_be_checked_or_halved_is_refused(model: Springs, tolerance: float, sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        engine(model, tolerance=tolerance)


def test_halvings_without_a_tolerance_are_refused_and_three_are_usual() -> None:
    with pytest.raises(ForcefreeError, match=r"halvings \(2\) belong to a tolerance in meV per degree of freedom, such as 5; give one too"):
        engine(sloppy(), halvings=2)
    assert engine(sloppy(), tolerance=1.0).propagator.describe()["shortest"] == engine(sloppy()).propagator.interval / 8.0
