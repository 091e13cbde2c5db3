"""A skin round the cutoff spares searches for neighbours in rollouts and changes no bit of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from forcefree.models.card import Card
from forcefree.models.registry import build_model
from forcefree.models.trajcast import TrajCast
from forcefree.simulation import simulate
from forcefree.state import State

FAST: dict[str, Any] = {"channels": 8, "layers": 2, "refinements": 1, "nodes": 2, "refinement_width": 8, "filter_width": 8}
PAPER: dict[str, Any] = {"preset": "paper", "channels": 4, "layers": 2}
STEPS = 40


def network(options: dict[str, Any], skin: float) -> TrajCast:
    """Random weights, and departures small enough for a rollout that stays in its crystal."""
    torch.manual_seed(0)
    model = build_model(Card(name="m", model="trajcast", options=options, species=[14], t_max=10.0, cutoff=4.0)).double()
    assert isinstance(model, TrajCast)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, dtype=torch.float64)
    model.log_gain.data.fill_(-8.0)
    model._neighbours.skin = skin
    return model.eval()


def shaken(atoms: Atoms) -> State:
    state = State.from_atoms([atoms])
    generator = torch.Generator().manual_seed(3)
    return state.with_(velocities=0.003 * torch.randn(state.positions.shape, generator=generator, dtype=torch.float64))


def rollout(options: dict[str, Any], start: State, skin: float) -> tuple[State, int]:
    model = network(options, skin)
    state = start
    with torch.inference_mode():
        for _ in range(STEPS):
            state = model.propagate(state, 10.0)
    return state, model._neighbours.searches


@pytest.mark.parametrize("options", [FAST, PAPER], ids=["fast", "paper"])
@pytest.mark.parametrize("atoms", [bulk("Si", cubic=True), bulk("Si")], ids=["cell like the cutoff", "cell smaller than the cutoff"])
def test_rollouts_agree_with_and_without_a_skin(options: dict[str, Any], atoms: Atoms) -> None:
    start = shaken(atoms)
    plain, each = rollout(options, start, 0.0)
    spared, few = rollout(options, start, 1.0)
    moved = float((plain.positions - start.positions).norm(dim=1).max())
    assert moved > 0.5, "the rollout must leave the skin at least once"
    assert each == STEPS
    assert 2 <= few < STEPS // 2
    assert torch.equal(spared.positions, plain.positions)
    assert torch.equal(spared.velocities, plain.velocities)
    assert not torch.allclose(plain.velocities, start.velocities, atol=1e-6), "the network must do something"


def test_a_simulation_of_a_crystal_uses_the_skin() -> None:
    model = network(FAST, 1.0)
    result = simulate(model, shaken(bulk("Si", cubic=True)), ensemble="nve", velocities="start", duration=400.0, guards=False)
    assert result.time == 400.0
    assert model._neighbours.searches < 20


def test_a_run_that_stops_between_two_searches_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """The list of the continued run begins at other positions; in single precision an other order of sums would show."""
    start = shaken(bulk("Si", cubic=True))
    options: dict[str, Any] = {"ensemble": "nvt", "temperature": 100.0, "seed": 4, "guards": False, "save_every": 10.0}
    whole = simulate(network(FAST, 1.0).float(), start, output=tmp_path / "whole.h5", duration=600.0, **options)
    simulate(network(FAST, 1.0).float(), start, output=tmp_path / "cut.h5", duration=170.0, **options)
    cut = simulate(network(FAST, 1.0).float(), start, output=tmp_path / "cut.h5", duration=600.0, resume=True, **options)
    for one, other in zip(whole.trajectories(), cut.trajectories(), strict=True):
        assert np.array_equal(one.positions, other.positions)
        assert np.array_equal(one.velocities, other.velocities)
