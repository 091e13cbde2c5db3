"""EGNN answers one time by itself; EGNO, by design, does not."""

from __future__ import annotations

import pytest
import torch
from ase.build import molecule

from forcefree.graph import Neighbours
from forcefree.models.card import Card
from forcefree.models.egnn import Egnn
from forcefree.nn.egnn_layer import EgnnLayer
from forcefree.nn.temporal_convolution import TemporalConvolution
from forcefree.state import State


@pytest.mark.parametrize(("modes", "independent"), [(0, True), (2, False)])
def test_only_egno_mixes_the_times(modes: int, independent: bool) -> None:
    options = {"channels": 8, "layers": 2, "temporal_modes": modes}
    torch.manual_seed(1)
    model = Egnn(Card(name="t", model="egnn", options=options, species=[1, 6, 8], t_max=100.0, cutoff=6.0)).double()
    state = State.from_atoms([molecule("CH3CH2OH")])
    state = state.with_(velocities=0.01 * torch.randn_like(state.positions))
    with torch.inference_mode():
        alone, among = (model.forecast((state,), torch.tensor(times).double()).positions[0] for times in ([40.0], [40.0, 70.0, 90.0]))
    assert bool((alone - among).abs().max() < 1e-12) is independent


@pytest.mark.parametrize("modes", [0, 2])
def test_the_path_rests_at_the_start_as_its_shortcut_says(modes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"channels": 8, "layers": 2, "temporal_modes": modes}
    torch.manual_seed(1)
    model = Egnn(Card(name="t", model="egnn", options=options, species=[1, 6, 8], t_max=100.0, cutoff=6.0)).double()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    state = State.from_atoms([molecule("CH3CH2OH")])
    state = state.with_(velocities=0.01 * torch.randn_like(state.positions))
    asked = torch.tensor([3.0, 40.0, 90.0], dtype=torch.float64)
    short = model.forecast((state,), asked)
    flown = model.flight.forward
    monkeypatch.setattr(model.flight, "forward", lambda *arguments, resting: flown(*arguments, resting=not resting))
    differentiated = model.forecast((state,), asked)
    torch.testing.assert_close(short.positions, differentiated.positions, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(short.velocities, differentiated.velocities, rtol=0.0, atol=1e-12)


def test_messages_by_atoms_are_the_perceptron_of_each_pair() -> None:
    torch.manual_seed(2)
    layer, state = EgnnLayer(5, 6.0, 8.0).double(), State.from_atoms([molecule("CH3OH"), molecule("H2O")])
    pairs = Neighbours(6.0)(state)
    scalars = torch.randn(3, state.n_atoms, 5, dtype=torch.float64)
    squares = torch.rand(3, len(pairs.sender), 2, dtype=torch.float64)
    expected = layer.message(torch.cat([scalars[:, pairs.receiver], scalars[:, pairs.sender], squares], dim=-1))
    torch.testing.assert_close(layer.messages(scalars, squares, pairs), expected, rtol=0.0, atol=1e-13)


def test_a_convolution_with_identity_matrices_passes_low_frequencies_alone() -> None:
    convolution = TemporalConvolution(3, 2).double()
    convolution.vector_weights.data = torch.stack([torch.eye(2).expand(2, -1, -1), torch.zeros(2, 2, 2)]).double()
    time = torch.arange(8, dtype=torch.float64)
    slow, fast = (torch.cos(2.0 * torch.pi * k * time / 8.0)[:, None, None].expand(8, 2, 3) for k in (1, 3))
    scalars = torch.zeros(8, 2, 3, dtype=torch.float64)
    _, moved, velocities = convolution(scalars, slow, fast)
    torch.testing.assert_close(moved, 2.0 * slow, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(velocities, fast, rtol=0.0, atol=1e-12)
