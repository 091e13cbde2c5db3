"""The kept energy: exact by the head, momenta untouched, batch-mates and interruptions without a say, canonical under a thermostat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from forcefree.benchmark.propagation import Propagation
from forcefree.errors import ForcefreeError
from forcefree.simulation.building import build_engine
from forcefree.simulation.engine import Engine
from forcefree.simulation.options import SimulationOptions
from forcefree.simulation.progress import Progress
from forcefree.simulation.simulate import simulate
from forcefree.state import State
from oracles import ATOMS, Springs, boxed_atoms, crystal_geometry, phantom, phantom_start
from sloppy import Sloppy, changes, engine, sloppy


def momenta(run: Engine) -> tuple[torch.Tensor, torch.Tensor]:
    state = run.state
    return state.sum(state.masses[:, None] * state.velocities), run.bodies.angular_momentum(state.positions, state.velocities)


@pytest.mark.parametrize("adaptive", [{}, {"tolerance": 0.05}])
@pytest.mark.parametrize("name", ["direct", "reversible"])
def test_the_energy_stays_to_the_last_digits_and_what_the_map_added_is_told(name: str, adaptive: dict[str, float]) -> None:
    options = {"ensemble": "nve", "replicas": 4, "propagator": name, **adaptive}
    free, kept = engine(sloppy(), **options), engine(sloppy(), **options, keep_energy=True)
    begin = kept.state
    for _ in range(50):
        free.step()
        kept.step()

    assert float(changes(sloppy(), begin, kept.state).abs().max()) < 1e-9
    assert float(changes(sloppy(), begin, free.state).abs().min()) > (1e-5 if adaptive else 1e-3)
    told = kept.drift()
    assert told is not None
    assert float(told[1].abs().min()) > 1e-6


def test_momentum_and_the_angular_momentum_of_a_turning_molecule_stay() -> None:
    start = phantom_start(2)
    generator = torch.Generator().manual_seed(3)
    start = start.with_(velocities=0.01 * torch.randn(start.positions.shape, generator=generator, dtype=torch.float64) + 0.004)
    values = {"ensemble": "nve", "duration": 1e4, "guards": False, "propagator": "direct", "interval": 8.0, "keep_energy": True}
    run, _ = build_engine(sloppy(gain=2e-4), start, SimulationOptions.parse(values, "test"))
    begin, moved, turning = run.state, *momenta(run)
    assert float(turning.norm(dim=1).min()) > 0.01
    for _ in range(30):
        run.step()
    for before, after in zip((moved, turning), momenta(run), strict=True):
        torch.testing.assert_close(after, before, rtol=0.0, atol=1e-11)
    assert float(changes(sloppy(), begin, run.state).abs().max()) < 1e-9


class Periodic(Springs):
    knows_energy = True


def test_a_periodic_system_that_leaks_keeps_its_energy() -> None:
    model = Periodic(ATOMS, shrink=2e-4, stiffness=6.0, reference=crystal_geometry())
    values = {"ensemble": "nve", "temperature": 300.0, "duration": 1e4, "guards": False, "propagator": "direct", "interval": 8.0}
    for keep in (False, True):
        run, _ = build_engine(model, State.from_atoms([boxed_atoms()]), SimulationOptions.parse(values | {"keep_energy": keep}, "test"))
        begin = run.state
        for _ in range(50):
            run.step()
        change = float(changes(model, begin, run.state).abs())
        assert change < 1e-9 if keep else change > 0.1


def test_batch_mates_do_not_count_and_a_stopped_replica_stays() -> None:
    together = engine(sloppy(), replicas=3, keep_energy=True)
    for _ in range(5):
        together.step()
    for replica in range(3):
        alone = engine(sloppy(), first_replica=replica, keep_energy=True)
        for _ in range(5):
            alone.step()
        own = together.state.system == replica
        torch.testing.assert_close(together.state.velocities[own], alone.state.velocities, rtol=0.0, atol=1e-13)
    together.running[1] = False
    together.stopped[1] = None  # type: ignore[assignment]
    own, before = together.state.system == 1, together.state
    together.step()
    assert torch.equal(together.state.velocities[own], before.velocities[own])
    assert not torch.equal(together.state.velocities[~own], before.velocities[~own])


def test_under_a_thermostat_a_map_that_leaks_has_the_right_temperature() -> None:
    model, means = Sloppy(ATOMS, shrink=3e-4), {}
    model.gain = 0.0
    for keep in (False, True):
        run = engine(model, replicas=64, thermostat_time=200.0, keep_energy=keep)
        values = []
        for step in range(400):
            run.step()
            values += [run.temperatures()] if step >= 150 else []
        per_replica = torch.stack(values).mean(dim=0)
        means[keep] = float(per_replica.mean()), float(per_replica.std()) / 8.0
    assert means[False][0] < 300.0 - 4.0 * means[False][1]
    assert means[True][0] == pytest.approx(300.0, abs=3.0 * means[True][1])


def test_one_step_changes_the_kinetic_energy_by_a_factor_of_four_at_most() -> None:
    run = engine(sloppy(gain=1.0), ensemble="nve", keep_energy=True)
    wild = run.propagator.step(run.state)
    run.step()
    ratio = run.bodies.kinetic_energy(run.state.velocities) / run.bodies.kinetic_energy(wild.velocities)
    assert float(ratio) == pytest.approx(0.25, rel=1e-6)


def test_a_replica_that_is_lost_takes_no_other_with_it() -> None:
    run, alone = (engine(sloppy(), replicas=3, keep_energy=True) for _ in range(2))
    forecast = run.propagator.step

    def losing(state: State) -> State:
        after = forecast(state)
        first = (after.system == 0)[:, None]
        return after.with_(positions=torch.where(first, torch.nan, after.positions))

    run.propagator.step = losing  # type: ignore[method-assign]
    run.step()
    alone.step()
    others = run.state.system != 0
    torch.testing.assert_close(run.state.velocities[others], alone.state.velocities[others], rtol=0.0, atol=1e-13)
    assert not bool(run.state.positions[~others].isfinite().any())


class Interrupted(Exception):  # noqa: N818 (stands for a kill)
    pass


def test_a_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    def fall(_: Progress) -> None:
        raise Interrupted

    options = {
        "temperature": 300.0, "duration": 4000.0, "replicas": 3, "guards": False, "propagator": "direct", "interval": 8.0, "keep_energy": True,
        "save_every": 16.0, "log_every": 80.0, "checkpoint_every": 0.02,
    }  # fmt: skip
    whole = simulate(sloppy(), phantom_start(), output=tmp_path / "whole.h5", **options)
    with pytest.raises(Interrupted):
        simulate(sloppy(), phantom_start(), output=tmp_path / "cut.h5", progress=fall, **options)
    with pytest.raises(ForcefreeError, match="made with keep_energy True, not False"):
        simulate(sloppy(), phantom_start(), output=tmp_path / "cut.h5", resume=True, **options | {"keep_energy": False})
    rest = simulate(sloppy(), phantom_start(), output=tmp_path / "cut.h5", resume=True, **options)
    for one, other in zip(whole.trajectories(), rest.trajectories(), strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.velocities, other.velocities)
        assert one.provenance["keep_energy"] is True
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "cut.csv").read_text()


def test_a_card_recommends_it_for_its_propagator_alone() -> None:
    model = sloppy()
    advice = {"name": "direct", "interval": 8.0, "keep_energy": True}
    model.card = model.card.model_copy(update={"propagator": advice})
    assert engine(model, propagator="auto").keeper is not None
    assert engine(model).keeper is not None
    assert engine(model, keep_energy=False).keeper is None
    assert engine(model, propagator="reversible").keeper is None
    assert engine(sloppy()).keeper is None
    assert Propagation.usual(model) == Propagation("direct", 8.0, None, keep_energy=True)


def test_a_model_without_a_head_is_refused() -> None:
    with pytest.raises(ForcefreeError, match="keeping the energy needs a model with an energy head, and springs has none"):
        engine(phantom(), keep_energy=True)
