"""Pairs of atoms in dense chunks: a few receivers each, with their neighbours in a rectangle that one matrix product sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_LARGEST_WASTE = 96  # empty places in one rectangle; about what starting another one costs
_LARGEST_CHUNK = {"cpu": 512}  # pairs: what stays in the cache while a chunk passes through a block
_LARGEST_CHUNK_ELSEWHERE = 32768


@dataclass(frozen=True)
class Chunk:
    """The neighbourhoods of some receivers, padded to the largest of them.

    Attributes:
        sender: Atom of every place, 0 where a place is empty, shape (n_receivers * places,).
        harmonics: Harmonics of the directions, zero where a place is empty, shape (n_receivers, 9, places).
        radial: What the weights are made of, zero where a place is empty, each of shape (n_receivers * places, width).
    """

    sender: Tensor
    harmonics: Tensor
    radial: tuple[Tensor, ...]


@dataclass(frozen=True)
class Neighbourhoods:
    """All chunks of one configuration.

    Attributes:
        chunks: Receivers with many neighbours first.
        position: Where each atom stands in the concatenation of the chunks, shape (n_atoms,).
    """

    chunks: tuple[Chunk, ...]
    position: Tensor


def neighbourhoods(
    receiver: Tensor, sender: Tensor, harmonics: Tensor, radial: tuple[Tensor, ...], n_atoms: int, largest: int | None = None
) -> Neighbourhoods:
    """Arrange pairs in chunks of receivers with about as many neighbours each.

    Args:
        receiver: Shape (n_pairs,), sorted.
        sender: Shape (n_pairs,).
        harmonics: Harmonics of each pair's direction, shape (n_pairs, 9).
        radial: What the weights of each pair are made of, each of shape (n_pairs, width).
        n_atoms: Number of atoms, with or without neighbours.
        largest: Most places of a chunk of more than one receiver; None for what suits the processor.
    """
    device = receiver.device
    largest = largest or _LARGEST_CHUNK.get(device.type, _LARGEST_CHUNK_ELSEWHERE)
    degree = torch.bincount(receiver, minlength=n_atoms)
    first = torch.cumsum(degree, 0) - degree
    order = torch.argsort(degree, descending=True, stable=True)
    degree, first = degree[order], first[order]
    padded_sender, padded_harmonics, *padded_radial = (_with_empty_place(values) for values in (sender, harmonics, *radial))
    chunks = []
    for start, stop, places in _cuts(degree.cpu().numpy(), largest):
        rank = torch.arange(places, device=device)
        taken = rank < degree[start:stop, None]
        pair = torch.where(taken, first[start:stop, None] + rank, len(sender))
        flat = pair.flatten()
        directions = padded_harmonics.index_select(0, flat).view(*pair.shape, -1).transpose(1, 2).contiguous()
        chunks.append(
            Chunk(padded_sender.index_select(0, flat), directions, tuple(values.index_select(0, flat) for values in padded_radial))
        )
    return Neighbourhoods(tuple(chunks), torch.argsort(order))


def _with_empty_place(values: Tensor) -> Tensor:
    return torch.cat([values, values.new_zeros(1, *values.shape[1:])])


def _cuts(degree: np.ndarray[tuple[int], np.dtype[np.int64]], largest: int) -> Iterator[tuple[int, int, int]]:
    """First and last receiver and number of places of each chunk, for degrees in descending order."""
    start = 0
    while start < len(degree):
        places = max(int(degree[start]), 1)
        ahead = degree[start : start + max(largest // places, 1)]
        waste = np.cumsum(places - ahead)
        stop = start + max(int(np.searchsorted(waste, _LARGEST_WASTE, side="right")), 1)
        yield start, stop, places
        start = stop
