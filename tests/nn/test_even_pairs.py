"""Lists with as many pairs for every atom give what the bare lists give, for all architectures that use them."""

import pytest
import torch
from ase import Atoms
from torch import Tensor

import forcefree.models.refined_network as network
from forcefree.models.card import Card
from forcefree.models.registry import build_model
from forcefree.nn.even_pairs import even_pairs
from forcefree.nn.pair_list import PairList
from forcefree.state import State

CUTOFF = 4.0


def bare(pairs: PairList, n_atoms: int, cutoff: float) -> PairList:
    return pairs


def crowd() -> State:
    """A random box, in which neighbourhoods are uneven, and velocities."""
    generator = torch.Generator().manual_seed(4)
    box = Atoms("OH" * 12, positions=(8.0 * torch.rand(24, 3, generator=generator, dtype=torch.float64)).numpy(), cell=[8.0] * 3, pbc=True)
    state = State.from_atoms([box])
    return state.with_(velocities=0.02 * torch.randn(24, 3, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize(("architecture", "normalised"), [("trajcast", None), ("mdtrajnet", True), ("mdtrajnet", False)])
def test_forecasts_and_gradients_are_those_of_the_bare_list(
    architecture: str, normalised: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"channels": 8, "layers": 2, "refinements": 2, "nodes": 3, "refinement_width": 8, "filter_width": 8}
    if normalised is not None:
        options |= {"matrix_channels": 4, "heads": 2, "normalised": normalised}
    model = build_model(Card(name="e", model=architecture, options=options, species=[1, 8], t_max=10.0, cutoff=CUTOFF)).double()
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    state, times = crowd(), torch.full((1, 1), 10.0, dtype=torch.float64)

    def found() -> list[Tensor]:
        model.zero_grad()
        positions, velocities = model.unchecked_forecast((state,), times)
        (positions.square().sum() + (100.0 * velocities).square().sum()).backward()
        return [positions.detach(), velocities.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]

    monkeypatch.setattr("forcefree.nn.even_pairs._MOST_EMPTY", 9.0)
    degrees = []

    def spy(pairs: PairList, n_atoms: int, cutoff: float) -> PairList:
        evened = even_pairs(pairs, n_atoms, cutoff)
        degrees.append((pairs.degree, evened.degree))
        return evened

    monkeypatch.setattr(network, "even_pairs", spy)
    evened = found()
    assert degrees[0][0] == 0
    assert degrees[0][1] > 0
    monkeypatch.setattr(network, "even_pairs", bare)
    plain = found()
    assert len(evened) == len(plain) > 10
    assert (evened[0] - state.positions - 10.0 * state.velocities).abs().max() > 1e-3, "the model must do something"
    for one, other in zip(evened, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_every_atom_gets_its_pairs_and_then_itself_far_away() -> None:
    separations = torch.arange(21.0).view(7, 3)
    receiver, sender = torch.tensor([0, 0, 1, 2, 2, 3, 3]), torch.tensor([1, 2, 0, 0, 3, 2, 2])
    evened = even_pairs(PairList(separations, receiver, sender, 0), 4, CUTOFF)
    assert evened.degree == 2
    assert evened.receiver.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert evened.sender.tolist() == [1, 2, 0, 1, 0, 3, 2, 2]
    assert torch.equal(evened.separations[[0, 1, 2, 4, 5, 6, 7]], separations)
    assert float(evened.separations[3].norm()) == 2.0 * CUTOFF
    roomy = even_pairs(PairList(separations, receiver, sender, 0), 4, CUTOFF, places=3)
    assert roomy.degree == 3
    assert even_pairs(PairList(separations, receiver, sender, 0), 4, CUTOFF, places=1).degree == 0


def test_lists_that_are_even_empty_or_very_uneven_come_back() -> None:
    separations, receiver = torch.ones(4, 3), torch.tensor([0, 0, 0, 1])
    uneven = PairList(separations, receiver, receiver.flip(0), 0)
    assert even_pairs(uneven, 3, CUTOFF) is uneven
    empty = PairList(separations[:0], receiver[:0], receiver[:0], 0)
    assert even_pairs(empty, 3, CUTOFF) is empty
    even = PairList(separations, torch.tensor([0, 0, 1, 1]), torch.tensor([1, 1, 0, 0]), 2)
    assert even_pairs(even, 2, CUTOFF) is even


def test_blocks_and_tables_know_the_places_too(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"channels": 8, "layers": 1, "refinements": 2, "nodes": 3, "refinement_width": 8, "filter_width": 8}
    model = build_model(Card(name="e", model="trajcast", options=options, species=[1, 8], t_max=10.0, cutoff=CUTOFF)).double().eval()
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    model.tabulate()
    monkeypatch.setattr("forcefree.nn.even_pairs._MOST_EMPTY", 9.0)
    monkeypatch.setattr("forcefree.nn.pair_blocks.LARGEST_BLOCK", 50)
    state, ends = crowd(), []
    for method in (even_pairs, bare):
        monkeypatch.setattr(network, "even_pairs", method)
        with torch.inference_mode():
            ends.append(model.propagate(state, 10.0).positions)
    assert float((ends[0] - state.positions - 10.0 * state.velocities).abs().max()) > 1e-3
    torch.testing.assert_close(ends[0], ends[1], rtol=0.0, atol=1e-9)
