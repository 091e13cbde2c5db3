"""The cubic through two frames, and the models that start from it."""

from __future__ import annotations

import pytest
import torch
from ase.build import molecule
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.registry import build_model, find_architecture
from forcefree.models.segment_forecaster import bend
from forcefree.nn.chebyshev import segment_basis
from forcefree.nn.past_bend import PastBend
from forcefree.state import State

OPTIONS = {"channels": 8, "layers": 1, "refinements": 1, "nodes": 2, "past": 4.0}


def cubic(generator: torch.Generator, n_atoms: int) -> tuple[Tensor, ...]:
    """Position, velocity, acceleration and its change of each atom at time zero."""
    return tuple(
        scale * torch.randn(n_atoms, 3, generator=generator, dtype=torch.float64)
        for scale in (1.0, 1e-2, 1e-3, 1e-4)
    )  # fmt: skip


def at(path: tuple[Tensor, ...], time: float, state: State) -> State:
    x, v, a, j = path
    return state.with_(
        positions=x + v * time + a * time**2 / 2.0 + j * time**3 / 6.0,
        velocities=v + a * time + j * time**2 / 2.0,
        time=torch.full_like(state.time, time),
    )


def test_a_cubic_path_is_known_from_two_of_its_frames() -> None:
    state = State.from_atoms([molecule("H2O"), molecule("CH4")])
    path = cubic(torch.Generator().manual_seed(1), state.n_atoms)
    found = bend(at(path, -4.0, state), at(path, 0.0, state), 10.0)
    torch.testing.assert_close(found, torch.stack([path[2] * 50.0, path[3] * 1000.0 / 6.0], dim=-1))
    nearer = bend(at(path, -0.5, state), at(path, 0.0, state), 10.0)
    torch.testing.assert_close(nearer, found, rtol=1e-6, atol=1e-9)


def test_a_common_velocity_bends_nothing() -> None:
    state = State.from_atoms([molecule("CH4")])
    path = cubic(torch.Generator().manual_seed(2), state.n_atoms)
    faster = (path[0], path[1] + torch.tensor([0.3, -0.2, 0.1]), *path[2:])
    found = [bend(at(one, -2.0, state), at(one, 0.0, state), 5.0) for one in (path, faster)]
    torch.testing.assert_close(*found, rtol=0.0, atol=1e-12)


def test_the_first_forecast_is_the_cubic_where_it_is_believed_and_nothing_where_it_is_not() -> None:
    past = PastBend(2, 4).double()
    past.belief.data = torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    bends = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    coefficients = past.coefficients(bends, torch.tensor([0, 1]), 6)
    times = torch.tensor([0.0, 1.0, 2.5, 8.0], dtype=torch.float64)
    values, _ = segment_basis(times, 6, 8.0)
    found = torch.einsum("tk,nak->tna", values, coefficients)
    share = (times / 8.0)[:, None]
    torch.testing.assert_close(found[:, 0], bends[0, :, 0] * share**2 + bends[0, :, 1] * share**3)
    assert torch.equal(found[:, 1], torch.zeros(4, 3, dtype=torch.float64))


def test_a_kick_in_the_past_is_felt_but_not_without_bounds() -> None:
    past = PastBend(1, 4).double()
    kind = torch.zeros(1, dtype=torch.int64)
    kick = torch.tensor([[[0.0, 0.0], [3e6, 0.0], [4e6, 0.0]]], dtype=torch.float64)
    found = past.vectors(kick, kind).detach()
    expected = 5.0 * torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)[:, None] * past.mix.weight.detach()[0, :4]
    torch.testing.assert_close(found[0], expected)


@pytest.mark.parametrize("architecture", ["trajcast", "mdtrajnet"])
def test_an_atom_alone_flies_straight_whatever_its_past(architecture: str) -> None:
    timing = find_architecture(architecture).timing(OPTIONS, 10.0)
    assert timing == {"history_length": 2, "history_spacing": 4.0}
    options = OPTIONS | ({"matrix_channels": 4, "heads": 2} if architecture == "mdtrajnet" else {})
    model = build_model(Card(name="t", model=architecture, options=options, species=[1, 6], t_max=10.0, cutoff=4.0, **timing)).double()
    far = molecule("CH4")
    far += molecule("H")
    far.positions[-1] += 30.0
    state = State.from_atoms([far])
    path = cubic(torch.Generator().manual_seed(4), state.n_atoms)
    last = at((state.positions, *path[1:]), 0.0, state)
    departures = model.eval().departures(
        (at((state.positions, *path[1:]), -4.0, state), last), torch.full((1, 1), 10.0, dtype=torch.float64)
    )
    assert float(departures.positions[0, :-1].abs().min().detach()) > 0.0
    assert torch.equal(departures.positions[0, -1], torch.zeros(3, dtype=torch.float64))
    assert departures.participation is not None
    assert float(departures.participation[-1]) == 0.0


def test_a_forecast_that_was_asked_for_before_is_neither_stale_nor_without_gradients() -> None:
    """Functions of time are kept from one request to the next, and inference must not leave them without a graph."""
    options = {"channels": 8, "layers": 1, "refinements": 0}
    torch.manual_seed(0)
    model = build_model(Card(name="t", model="trajcast", options=options, species=[1, 6], t_max=10.0, cutoff=4.0)).double()
    model.network.readouts[0].weight.data.normal_()
    state = State.from_atoms([molecule("CH4")])
    asked = [torch.tensor(times, dtype=torch.float64)[:, None] for times in ([2.0, 6.0], [6.0, 2.0], [2.0])]
    with torch.inference_mode():
        first, turned, single = (model.departures((state,), times).positions for times in asked)
    assert float((first[0] - first[1]).abs().max()) > 0.0
    torch.testing.assert_close(turned, first.flip(0), rtol=0.0, atol=1e-14)
    torch.testing.assert_close(single[0], first[0], rtol=0.0, atol=1e-14)
    again = model.departures((state,), asked[2]).positions
    again.square().sum().backward()
    torch.testing.assert_close(again.detach(), single, rtol=0.0, atol=1e-14)
    assert model.network.readouts[0].weight.grad is not None
    assert bool(model.network.readouts[0].weight.grad.any())


def test_cards_and_options_that_do_not_fit_are_one_sentence() -> None:
    with pytest.raises(ForcefreeError, match="model t needs a card with a history of 2 frames 4 fs apart"):
        build_model(Card(name="t", model="trajcast", options=OPTIONS, species=[1], t_max=10.0, cutoff=4.0))
    with pytest.raises(ForcefreeError, match="past needs the fast preset with the continuous head"):
        build_model(Card(name="t", model="trajcast", options={"preset": "paper", "past": 4.0}, species=[1], t_max=10.0, cutoff=4.0))
