"""One spatial layer: attention to neighbours and, through a gate, to the whole system."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forcefree.nn.global_attention import GlobalAttention
from forcefree.nn.local_attention import LocalAttention
from forcefree.nn.padding import Padding
from forcefree.nn.update import GatedUpdate
from forcefree.nn.velocity_message import EdgeFeatures


@dataclass(frozen=True)
class Surroundings:
    """What a spatial layer knows of the frames.

    Attributes:
        edges: Pairs of all frames one after another; atom a of frame r has number r n_atoms + a.
        closeness: Of every two atoms of a system, shape (n_rows, n_systems, largest, largest); None where it is not needed.
        voice: How loud an atom is to its whole system, shape (n_rows, n_atoms).
        padding: Seats of the atoms.
    """

    edges: EdgeFeatures
    closeness: Tensor | None
    voice: Tensor
    padding: Padding


class SpatialAttention(nn.Module):
    """Local and gated global attention inside every frame, then a gated update of each atom.

    Args:
        channels: Scalars and vectors per atom, a multiple of ``heads``.
        n_features: Invariant features of a pair.
        hidden: Width of the filter of local attention.
        heads: Attention heads.
        use_local: Have local attention.
        use_global: Have global attention.
    """

    def __init__(self, channels: int, n_features: int, hidden: int, heads: int, *, use_local: bool, use_global: bool) -> None:
        super().__init__()
        self.near = LocalAttention(channels, n_features, hidden, heads) if use_local else None
        self.far = GlobalAttention(channels, heads) if use_global else None
        self.gate = nn.Linear(channels, 2 * channels) if use_global else None
        self.update = GatedUpdate(channels)

    def forward(self, scalars: Tensor, vectors: Tensor, around: Surroundings) -> tuple[Tensor, Tensor]:
        """Update all frames alike.

        Args:
            scalars: Shape (n_rows, n_atoms, channels).
            vectors: Shape (n_rows, n_atoms, 3, channels).
            around: Pairs and distances of these frames.

        Returns:
            Scalars and vectors of the same shapes.
        """
        new_scalars, new_vectors = scalars, vectors
        if self.near is not None:
            heard, pulled = self.near(scalars.flatten(0, 1), vectors.flatten(0, 1), around.edges)
            new_scalars, new_vectors = new_scalars + heard.view(scalars.shape), new_vectors + pulled.view(vectors.shape)
        if self.far is not None and self.gate is not None and around.closeness is not None:
            heard, pulled = self.far(scalars, vectors, around.closeness, around.voice, around.padding)
            open_scalars, open_vectors = torch.sigmoid(self.gate(scalars)).chunk(2, dim=-1)
            new_scalars, new_vectors = new_scalars + open_scalars * heard, new_vectors + open_vectors[..., None, :] * pulled
        return updated(self.update, new_scalars, new_vectors)


def updated(update: nn.Module, scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """A gated update of tokens (n_rows, n_atoms, ...), all alike, which sees them no larger than order one."""
    own = settled(scalars.flatten(0, 1), vectors.flatten(0, 1))
    changed = update(*own)
    return scalars + (changed[0] - own[0]).view(scalars.shape), vectors + (changed[1] - own[1]).view(vectors.shape)


def settled(scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Scalars and vectors of each atom divided by what they exceed one by, root mean square over channels; smooth at zero."""
    size = (1.0 + scalars.square().mean(dim=-1, keepdim=True)).sqrt()
    length = (1.0 + vectors.square().sum(dim=-2, keepdim=True).mean(dim=-1, keepdim=True)).sqrt()
    return scalars / size, vectors / length
