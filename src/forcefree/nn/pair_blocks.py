"""Pairs in blocks of whole atoms, so that the memory of a pass over many atoms does not grow with the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from forcefree.nn.still_edges import StillEdges

LARGEST_BLOCK = 1 << 14
"""Pairs that are worked on at once where no gradients are recorded; a cache still holds what is made of them, larger blocks are slower."""

LARGEST_BLOCK_ON_GPU = 1 << 21
"""The same where only memory bounds them."""

Edges = TypeVar("Edges", bound=StillEdges)


class PairBlock(NamedTuple, Generic[Edges]):
    """The pairs of some consecutive receivers.

    Attributes:
        atoms: The receivers.
        pairs: Their pairs among all.
        edges: Features of these pairs, receivers counted from the first of ``atoms``.
    """

    atoms: slice
    pairs: slice
    edges: Edges


def pair_blocks(edges: Edges, n_atoms: int) -> list[PairBlock[Edges]]:
    """Blocks that together have every atom and every pair once; one block where gradients are recorded or the graph is compiled.

    An atom hears all its neighbours within one block, so that sums come out as without blocks.

    Args:
        edges: Features of all pairs, sorted by receiver.
        n_atoms: Receivers, those without pairs included.
    """
    n_pairs = len(edges.receiver)
    largest = LARGEST_BLOCK_ON_GPU if edges.receiver.is_cuda else LARGEST_BLOCK
    if torch.compiler.is_compiling() or n_pairs <= largest or torch.is_grad_enabled():
        return [PairBlock(slice(0, n_atoms), slice(0, n_pairs), edges)]
    blocks = []
    features = [field.name for field in fields(edges) if field.name != "degree"]
    ends = torch.bincount(edges.receiver, minlength=n_atoms).cumsum(0)
    first = done = 0
    while first < n_atoms:
        last = max(int(torch.searchsorted(ends, done + largest, right=True)), first + 1)
        stop = int(ends[last - 1])
        pairs = slice(done, stop)
        parts = {name: getattr(edges, name)[pairs] for name in features}
        parts["receiver"] = parts["receiver"] - first
        blocks.append(PairBlock(slice(first, last), pairs, replace(edges, **parts)))
        first, done = last, stop
    return blocks


def joined(parts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """What was made of each block, for all atoms: each tensor of the blocks after that of the block before."""
    return parts[0] if len(parts) == 1 else tuple(torch.cat(column) for column in zip(*parts, strict=True))
