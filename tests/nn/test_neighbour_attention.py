"""Attention over neighbours: equivariant, smooth where a neighbour leaves, normalised, and it hears who is speaking."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clusters import CHANNELS, CUTOFF, MATRIX_CHANNELS, N_FEATURES, edges, random, random_features, turned
from forcefree.nn.attention import NeighbourAttention
from forcefree.nn.attention_weights import LARGEST_LOGIT, gate_weights, neighbour_weights
from forcefree.nn.cartesian_update import CartesianUpdate
from forcefree.nn.features import Features, symmetric_traceless

N_ATOMS = 5
POSITIONS = 1.3 * random(N_ATOMS, 3, seed=11)
VELOCITIES = 0.3 * random(N_ATOMS, 3, seed=12)
ROTATION = torch.linalg.qr(random(3, 3, seed=13))[0]


def layer(*, normalised: bool = True, first: bool = False) -> NeighbourAttention:
    torch.manual_seed(1)
    return NeighbourAttention(CHANNELS, MATRIX_CHANNELS, N_FEATURES, 8, 2, 4.0, normalised=normalised, first=first).double()


def start(first: bool) -> Features:
    return Features.of_scalars(random(N_ATOMS, CHANNELS), MATRIX_CHANNELS) if first else random_features(N_ATOMS)


def assert_same(found: Features, expected: Features) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("normalised", [False, True])
def test_attention_is_equivariant(normalised: bool, first: bool, reflect: bool) -> None:
    block, features = layer(normalised=normalised, first=first), start(first)
    turn = ROTATION * torch.linalg.det(ROTATION) * (-1.0 if reflect else 1.0)
    plain = block(*features, edges(POSITIONS, VELOCITIES))
    assert (plain.matrices - features.matrices).abs().max() > 1e-3
    assert_same(block(*turned(features, turn), edges(POSITIONS @ turn.T, VELOCITIES @ turn.T)), turned(plain, turn))


def test_the_order_of_atoms_and_the_way_of_summing_do_not_matter() -> None:
    block, features = layer(), random_features(N_ATOMS)
    plain = block(*features, edges(POSITIONS, VELOCITIES))
    assert_same(block(*features, edges(POSITIONS, VELOCITIES, uniform=False)), plain)
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = block(*(part[order] for part in features), edges(POSITIONS[order], VELOCITIES[order]))
    assert_same(permuted, Features(*(part[order] for part in plain)))


@pytest.mark.parametrize("normalised", [False, True])
def test_a_neighbour_leaves_without_a_kink(normalised: bool) -> None:
    """Across the cutoff the values and their first and second differences go to zero as the envelope does."""
    block, features = layer(normalised=normalised), random_features(2)

    def heard(distance: float) -> Tensor:
        positions = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, distance]], dtype=torch.float64)
        return torch.cat([part[0].detach().flatten() for part in block(*features, edges(positions, VELOCITIES[:2]))])

    step = 1e-3
    beyond = heard(CUTOFF + 0.5)
    torch.testing.assert_close(heard(CUTOFF), beyond, rtol=0.0, atol=1e-14)
    inside = [heard(CUTOFF - k * step) - beyond for k in (1, 2)]
    assert float(inside[0].abs().max()) > 0.0
    slopes = [float(value.abs().max()) / (k * step) for k, value in zip((1, 2), inside, strict=True)]
    assert slopes[0] < 1e-4
    assert slopes[1] / slopes[0] == pytest.approx(4.0, rel=0.1), "the value must vanish with the third power of the distance to the cutoff"


def test_the_neighbours_features_matter_even_for_one_neighbour() -> None:
    """In the paper's code a single block does not hear the only neighbour's element."""
    block, features = layer(first=True), Features.of_scalars(random(2, CHANNELS), MATRIX_CHANNELS)
    other = features._replace(scalars=features.scalars + torch.tensor([[0.0], [1.0]], dtype=torch.float64))
    pair = edges(0.4 * POSITIONS[:2], VELOCITIES[:2])
    assert (block(*other, pair).vectors[0] - block(*features, pair).vectors[0]).abs().max() > 1e-3


def test_an_atom_alone_keeps_vanishing_vectors_and_matrices() -> None:
    alone = Features.of_scalars(random(1, CHANNELS), MATRIX_CHANNELS)
    found = layer()(*alone, edges(POSITIONS[:1], VELOCITIES[:1], uniform=False))
    assert found.vectors.abs().max() == found.matrices.abs().max() == 0.0
    assert found.scalars.isfinite().all()


def test_weights_of_neighbours_and_the_atom_itself_sum_to_one() -> None:
    receiver = torch.tensor([0, 0, 0, 1, 1, 2])
    logits, own = 3.0 * random(6, 2), random(4, 2, seed=1)
    open_envelope = torch.ones(6, 1, dtype=torch.float64)
    weights = neighbour_weights(logits, own, open_envelope, receiver, 0)
    for atom in range(3):
        with_own = torch.cat([own[atom, None], logits[receiver == atom]])
        expected = torch.softmax(LARGEST_LOGIT * torch.tanh(with_own / LARGEST_LOGIT), dim=0)[1:]
        torch.testing.assert_close(weights[receiver == atom], expected)
    faded = neighbour_weights(logits, own, 0.5 * open_envelope, receiver, 0)
    assert (faded < weights).all()


def test_a_silent_neighbour_changes_nobodys_weight() -> None:
    receiver, logits, own = torch.tensor([0, 0, 0]), random(3, 2), random(1, 2, seed=1)
    fade = torch.tensor([[1.0], [0.7], [0.0]], dtype=torch.float64)
    weights = neighbour_weights(logits, own, fade, receiver, 3)
    assert weights[2].abs().max() == 0.0
    torch.testing.assert_close(weights[:2], neighbour_weights(logits[:2], own, fade[:2], receiver[:2], 2))


def test_huge_logits_stay_finite_and_gates_ignore_the_others() -> None:
    receiver, fade = torch.tensor([0, 0]), torch.ones(2, 1, dtype=torch.float64)
    huge = torch.tensor([[1e6], [-1e6]], dtype=torch.float64)
    weights = neighbour_weights(huge, torch.zeros(1, 1, dtype=torch.float64), fade, receiver, 2)
    assert weights.isfinite().all()
    assert float(weights[0]) > 0.99
    gates = gate_weights(torch.tensor([[0.0], [2.0]], dtype=torch.float64), 0.5 * fade)
    torch.testing.assert_close(gates[0], torch.tensor([0.25], dtype=torch.float64))


@pytest.mark.parametrize("reflect", [False, True])
def test_the_update_is_equivariant_and_keeps_matrices_symmetric_and_traceless(reflect: bool) -> None:
    torch.manual_seed(2)
    update, features = CartesianUpdate(CHANNELS, MATRIX_CHANNELS).double(), random_features(3)
    turn = ROTATION * torch.linalg.det(ROTATION) * (-1.0 if reflect else 1.0)
    plain = update(features)
    assert_same(update(turned(features, turn)), turned(plain, turn))
    torch.testing.assert_close(symmetric_traceless(plain.matrices), plain.matrices)
    bent = update(features._replace(matrices=-features.matrices))
    assert (bent.vectors - plain.vectors).abs().max() > 1e-3, "matrices must reach the vectors"
    small, mirrored = (update(features._replace(vectors=sign * 1e-9 * features.vectors)).scalars for sign in (1.0, -1.0))
    assert (small - mirrored).abs().max() < 1e-12, "smooth where vectors vanish"


def test_symmetric_traceless_is_a_projection() -> None:
    matrices = random(2, 3, 3, 4)
    once = symmetric_traceless(matrices)
    torch.testing.assert_close(symmetric_traceless(once), once)
    torch.testing.assert_close(once, once.transpose(1, 2))
    assert torch.einsum("naac->nc", once).abs().max() < 1e-14
    removed = matrices - once
    assert (removed * once).sum(dim=(1, 2)).abs().max() < 1e-12
