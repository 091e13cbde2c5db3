"""Chunks must hold every pair once, whatever the degrees, and sums over them must be sums over pairs."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from forcefree.nn.tensor_edges import neighbourhoods
from tensors import make_pairs


@given(degrees=st.lists(st.integers(0, 40), min_size=1, max_size=40), largest=st.integers(1, 300))
def test_sums_over_chunks_are_sums_over_pairs(degrees: list[int], largest: int) -> None:
    receiver, sender, harmonics, radial = make_pairs(degrees)
    n_atoms = len(degrees)
    content = torch.randn(n_atoms, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    pairs = neighbourhoods(receiver, sender, harmonics, (radial,), n_atoms, largest)

    sums = []
    for chunk in pairs.chunks:
        n_receivers, _, places = chunk.harmonics.shape
        weighted = (content[chunk.sender] * chunk.radial[0][:, 0]).view(n_receivers, 1, places)
        sums.append((chunk.harmonics * weighted).sum(dim=2))
    found = torch.cat(sums)[pairs.position]
    expected = torch.zeros(n_atoms, 9, dtype=torch.float64).index_add(0, receiver, harmonics * (content[sender] * radial[:, 0])[:, None])
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-12)


@given(degrees=st.lists(st.integers(0, 120), min_size=1, max_size=60), largest=st.integers(50, 600))
def test_chunks_keep_to_their_limit_and_waste_little(degrees: list[int], largest: int) -> None:
    receiver, sender, harmonics, radial = make_pairs(degrees)
    pairs = neighbourhoods(receiver, sender, harmonics, (radial,), len(degrees), largest)
    for chunk in pairs.chunks:
        n_receivers, _, places = chunk.harmonics.shape
        assert n_receivers == 1 or n_receivers * places <= largest
        empty = int((chunk.harmonics == 0.0).all(dim=1).sum())
        assert n_receivers == 1 or empty <= 96
    assert sum(len(chunk.harmonics) for chunk in pairs.chunks) == len(degrees)


def test_equal_degrees_leave_no_place_empty() -> None:
    receiver, sender, harmonics, radial = make_pairs([8] * 9)
    (chunk,) = neighbourhoods(receiver, sender, harmonics, (radial,), 9).chunks
    assert chunk.harmonics.shape == (9, 9, 8)
    torch.testing.assert_close(chunk.sender, sender)
    torch.testing.assert_close(chunk.radial[0], radial)


def test_atoms_without_any_pair_hear_silence() -> None:
    receiver, sender, harmonics, radial = make_pairs([0, 0, 0])
    pairs = neighbourhoods(receiver, sender, harmonics, (radial,), 3)
    assert sum(len(chunk.harmonics) for chunk in pairs.chunks) == 3
    assert all(bool((chunk.harmonics == 0.0).all()) for chunk in pairs.chunks)
    assert sorted(pairs.position.tolist()) == [0, 1, 2]
