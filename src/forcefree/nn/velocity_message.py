"""Message passing conditioned on relative velocities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forcefree.graph import at_atoms, sum_by_receiver
from forcefree.nn.pair_blocks import joined, pair_blocks
from forcefree.nn.perceptron import perceptron
from forcefree.nn.still_edges import StillEdges
from forcefree.nn.update import GatedUpdate


@dataclass(frozen=True)
class EdgeFeatures(StillEdges):
    """What every block knows of the pairs of atoms; the invariants tell radial and transverse relative velocities too.

    Attributes:
        velocities: Relative velocities times a unit of time, Å, shape (n_pairs, 3, 1).
    """

    velocities: Tensor


class NeighbourSum(nn.Module):
    """Sums over neighbours of scalars, directions, relative velocities and vectors, filtered by the invariants of each pair.

    Args:
        channels: Scalars and vectors per atom.
        n_features: Invariant features of a pair.
        hidden: Width of the filter network.
        first: Vectors are still zero, so that none are sent.
    """

    def __init__(self, channels: int, n_features: int, hidden: int, *, first: bool = False) -> None:
        super().__init__()
        self.filter = perceptron(n_features, hidden, (3 if first else 5) * channels)
        self.content = perceptron(channels, channels, channels)
        self._first = first

    def gather(self, scalars: Tensor, vectors: Tensor, edges: EdgeFeatures, weights: Tensor) -> tuple[Tensor, Tensor]:
        """What the neighbours say.

        Args:
            scalars: Shape (n_atoms, channels).
            vectors: Shape (n_atoms, 3, channels).
            edges: Features of the pairs.
            weights: Of each pair, zero at the cutoff, shape (n_pairs, 1) or (n_pairs, channels).

        Returns:
            Sums of messages, of the shapes of scalars and vectors.
        """
        plain, pulled = joined([sums for _, sums in self.gather_in_blocks(scalars, vectors, edges, weights)])
        return plain, pulled

    def gather_in_blocks(
        self, scalars: Tensor, vectors: Tensor, edges: EdgeFeatures, weights: Tensor
    ) -> Iterator[tuple[slice, tuple[Tensor, Tensor]]]:
        """The same for some atoms after others, each time with which ones they are."""
        content = self.content(scalars)
        for block in pair_blocks(edges, len(scalars)):
            n_atoms = block.atoms.stop - block.atoms.start
            yield block.atoms, self._sums(content, vectors, block.edges, weights[block.pairs], n_atoms)

    def _sums(self, content: Tensor, vectors: Tensor, edges: EdgeFeatures, weights: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
        """The same for the receivers of a block of pairs."""
        sent_content = (at_atoms(content, edges.sender) * weights)[:, None]
        filters = (self.filter(edges.invariants).unflatten(1, (-1, content.shape[-1])) * sent_content).unbind(1)
        plain, radial, along = filters[:3]
        sent = None
        if not self._first:
            sent = at_atoms(vectors, edges.sender)
            radial = radial + filters[4] * (edges.directions * sent).sum(dim=1)
        sums = []
        for axis in range(3):
            message = radial * edges.directions[:, axis] + along * edges.velocities[:, axis]
            if sent is not None:
                message = message + filters[3] * sent[:, axis]
            sums.append(sum_by_receiver(message, edges.receiver, n_atoms, edges.degree))
        return sum_by_receiver(plain, edges.receiver, n_atoms, edges.degree), torch.stack(sums, dim=1)


class VelocityMessage(NeighbourSum):
    """One block: messages along directions and relative velocities, then a gated update.

    An atom without neighbours receives nothing, and its vectors stay zero.

    Args:
        channels: Scalars and vectors per atom.
        n_features: Invariant features of a pair.
        hidden: Width of the filter network.
        neighbours: Typical number of neighbours, by the square root of which sums are divided.
        first: Vectors are still zero, so that none are sent.
    """

    def __init__(self, channels: int, n_features: int, hidden: int, neighbours: float, *, first: bool = False) -> None:
        super().__init__(channels, n_features, hidden, first=first)
        self.update = GatedUpdate(channels)
        self._norm = neighbours**-0.5

    def forward(self, scalars: Tensor, vectors: Tensor, edges: EdgeFeatures) -> tuple[Tensor, Tensor]:
        """Pass messages once.

        Args:
            scalars: Shape (n_atoms, channels).
            vectors: Shape (n_atoms, 3, channels).
            edges: Features of the pairs.

        Returns:
            Scalars and vectors of the same shapes.
        """
        parts = []
        for atoms, (gained, pulled) in self.gather_in_blocks(scalars, vectors, edges, edges.envelope * self._norm):
            parts.append(self.update(scalars[atoms] + gained, vectors[atoms] + pulled))
        scalars, vectors = joined(parts)
        return scalars, vectors


def relative_motion(separations: Tensor, velocities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distance, direction and invariants of the relative motion of pairs.

    Args:
        separations: Å, shape (n_pairs, 3).
        velocities: Relative velocities times a unit of time, Å, shape (n_pairs, 3).

    Returns:
        Distances (n_pairs,), unit vectors (n_pairs, 3), and the radial velocity, its square and the squared
        transverse velocity, shape (n_pairs, 3).
    """
    distances = separations.square().sum(dim=-1).clamp_min(1e-12).sqrt()
    directions = separations / distances[:, None]
    radial = (velocities * directions).sum(dim=-1)
    square = radial.square()
    transverse = velocities.square().sum(dim=-1) - square
    return distances, directions, torch.stack([radial, square, transverse], dim=-1)
