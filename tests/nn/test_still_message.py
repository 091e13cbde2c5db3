"""Messages of positions alone: equivariant, summed over neighbours one by one, nothing for an atom alone."""

from __future__ import annotations

import pytest
import torch

from clusters import CHANNELS, MATRIX_CHANNELS, N_FEATURES, edges, random, random_features, turned
from forcefree.nn.features import Features
from forcefree.nn.still_edges import StillEdges
from forcefree.nn.still_message import StillMessage

POSITIONS = 1.3 * random(5, 3, seed=21)


def layer(*, first: bool = False) -> StillMessage:
    torch.manual_seed(1)
    return StillMessage(CHANNELS, MATRIX_CHANNELS, N_FEATURES, 8, 4.0, first=first).double()


def still(positions: torch.Tensor) -> StillEdges:
    """Edges whose velocities vanish, so that all invariants are those of distances."""
    return edges(positions, torch.zeros_like(positions))


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_messages_are_equivariant(first: bool, reflect: bool) -> None:
    block, features = layer(first=first), random_features(5)
    turn = torch.linalg.qr(random(3, 3, seed=13))[0]
    turn = turn * torch.linalg.det(turn) * (-1.0 if reflect else 1.0)
    plain = block(features, still(POSITIONS))
    assert (plain.matrices - features.matrices).abs().max() > 1e-3
    for one, other in zip(block(turned(features, turn), still(POSITIONS @ turn.T)), turned(plain, turn), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_what_an_atom_hears_is_the_sum_of_what_single_neighbours_say() -> None:
    block, features = layer(), random_features(3)
    whole = block(features, still(POSITIONS[:3]))
    parts = []
    for other in (1, 2):
        pair = torch.tensor([0, other])
        heard = block(Features(*(part[pair] for part in features)), still(POSITIONS[pair]))
        parts.append([new[0] - old[0] for new, old in zip(heard, features, strict=True)])
    for new, old, one, two in zip(whole, features, *parts, strict=True):
        torch.testing.assert_close(new[0] - old[0], one + two, rtol=1e-10, atol=1e-12)


def test_an_atom_alone_hears_nothing() -> None:
    alone = random_features(1)
    for new, old in zip(layer()(alone, edges(POSITIONS[:1], POSITIONS[:1], uniform=False)), alone, strict=True):
        torch.testing.assert_close(new, old)
