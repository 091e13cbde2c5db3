"""MDtrajNet: one encoding serves all times, mixed molecules need no padding, and wrong options end in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ase import Atoms
from ase.build import molecule

from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model
from forcefree.state import State

TINY: dict[str, Any] = {"channels": 8, "matrix_channels": 4, "heads": 2, "nodes": 3, "filter_width": 8, "refinement_width": 8}


def build(**options: Any) -> Forecaster:
    torch.manual_seed(4)
    card = Card(name="tiny", model="mdtrajnet", options={**TINY, **options}, species=[1, 6, 8], t_max=10.0, cutoff=5.0)
    model = build_model(card).double()
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn_like(parameter)
    return model.eval()


def moving(molecules: list[Atoms]) -> State:
    state = State.from_atoms(molecules)
    return state.with_(velocities=0.02 * torch.randn(state.n_atoms, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("refinements", [0, 2])
def test_velocities_are_the_derivative_of_positions_at_any_time(refinements: int) -> None:
    model, state = build(refinements=refinements), moving([molecule("CH3OH")])
    step = 1e-4
    for time in (0.7, 5.0, 9.3):
        frames = model.conserving_departures((state,), torch.tensor([time - step, time, time + step], dtype=torch.float64)[:, None])
        slope = (frames.positions[2] - frames.positions[0]) / (2.0 * step)
        torch.testing.assert_close(frames.velocities[1], slope, rtol=1e-6, atol=1e-9)


def test_the_state_is_encoded_once_however_many_times_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model, state = build(), moving([molecule("CH3OH"), molecule("CH4")])
    calls = []
    encode = model.network.forward
    monkeypatch.setattr(model.network, "forward", lambda *inputs: calls.append(1) or encode(*inputs))
    many = model.forecast((state,), torch.linspace(0.1, 10.0, 100, dtype=torch.float64))
    assert len(calls) == 1
    single = model.forecast((state,), torch.tensor([5.0], dtype=torch.float64))
    torch.testing.assert_close(many.positions[49], single.positions[0], rtol=0.0, atol=1e-12)


def test_each_system_of_a_mixed_batch_may_ask_for_its_own_times() -> None:
    model, state = build(), moving([molecule("CH3OH"), molecule("CH4")])
    together = model.forecast((state,), torch.tensor([[2.0, 7.0]], dtype=torch.float64))
    for index, time in enumerate((2.0, 7.0)):
        own = state.system == index
        alone = model.forecast((state,), torch.tensor([time], dtype=torch.float64))
        torch.testing.assert_close(together.positions[0, own], alone.positions[0, own], rtol=0.0, atol=1e-12)


def test_the_neighbours_element_is_heard_by_a_single_block() -> None:
    """The published code gives exactly nothing here: its values are made of the centre's element alone."""
    model = build(layers=1, refinements=0)
    positions = [[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]]
    found = []
    for formula in ("CH", "CO"):
        state = moving([Atoms(formula, positions=positions)])
        found.append(model.departures((state,), torch.tensor([[10.0]], dtype=torch.float64)).positions[0, 0])
    assert (found[0] - found[1]).abs().max() > 1e-3


def test_every_part_is_used_and_the_first_forecast_ignores_refinements_at_the_start() -> None:
    torch.manual_seed(0)
    card = Card(name="x", model="mdtrajnet", options=TINY, species=[1, 6, 8], t_max=10.0, cutoff=5.0)
    model, state = build_model(card), moving([molecule("CH3OH")])
    times = torch.tensor([[10.0]], dtype=torch.float64)
    before = model.departures((state,), times).positions
    for refinement in model.network.refinements:
        refinement.filter.weight.data.mul_(3.0)
    torch.testing.assert_close(model.departures((state,), times).positions, before)
    trained = build()
    trained.departures((state,), times).positions.square().sum().backward()
    unused = [name for name, p in trained.network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unused


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"heads": 3}, r"channels \(8\) must be a multiple of heads \(3\)"),
        ({"heads": 8}, r"matrix_channels \(4\) must be a multiple of heads \(8\)"),
        ({"layers": 0}, "layers"),
        ({"time": "encoder"}, "time: is not an option here"),
    ],
)
def test_wrong_options_end_in_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        build(**options)
