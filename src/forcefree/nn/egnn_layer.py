"""The equivariant layer of EGNN, with velocities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.graph import Pairs
from forcefree.nn.bases import envelope
from forcefree.nn.perceptron import perceptron

_START = 0.01  # size of a move before training


class EgnnLayer(nn.Module):
    """Messages from scalars and distances; positions move along separations and velocities.

    Satorras, Hoogeboom and Welling, ICML 2021, equations 3 to 7, with the hyperbolic tangent on the weights of separations and
    a smooth cutoff on every message.

    Args:
        channels: Scalars per atom.
        cutoff: Å.
        neighbours: Typical number of neighbours, by which sums are divided.
    """

    def __init__(self, channels: int, cutoff: float, neighbours: float) -> None:
        super().__init__()
        self._cutoff, self._norm, self._channels = cutoff, 1.0 / neighbours, channels
        self.message = perceptron(2 * channels + 2, channels, channels)
        self.along_pairs = perceptron(channels, channels, 1)
        self.along_velocity = perceptron(channels, channels, 1)
        self.update = perceptron(2 * channels, channels, channels)
        for mover in (self.along_pairs, self.along_velocity):
            nn.init.normal_(list(mover.parameters())[-2], std=_START / channels**0.5)

    def forward(
        self, scalars: Tensor, moved: Tensor, velocities: Tensor, separations: Tensor, distances: Tensor, pairs: Pairs
    ) -> tuple[Tensor, Tensor]:
        """Move once.

        Args:
            scalars: Shape (n_times, n_atoms, channels).
            moved: Displacements so far, Å, shape (n_times, n_atoms, 3).
            velocities: Of order one, shape (n_times, n_atoms, 3).
            separations: At time zero, from receiver to sender, Å, shape (n_pairs, 3).
            distances: Their lengths, shape (n_pairs,).
            pairs: Who sends to whom.

        Returns:
            Scalars and displacements of the same shapes.
        """
        receiver, sender = pairs.receiver, pairs.sender
        now = separations + moved.index_select(1, sender) - moved.index_select(1, receiver)
        squares = torch.stack([now.square().sum(dim=-1), distances.square().expand(len(now), -1)], dim=-1)
        message = self.messages(scalars, squares, pairs)
        fade = self._norm * envelope(distances, self._cutoff)[:, None]
        shift = now * (torch.tanh(self.along_pairs(message)) * fade)
        moved = torch.zeros_like(moved).index_add(1, receiver, shift) + moved + self.along_velocity(scalars) * velocities
        summed = torch.zeros_like(scalars).index_add(1, receiver, message * fade)
        return scalars + self.update(torch.cat([scalars, summed], dim=-1)), moved

    def messages(self, scalars: Tensor, squares: Tensor, pairs: Pairs) -> Tensor:
        """What senders tell receivers; what is linear in an atom is computed once for the atom, not for each of its pairs.

        Args:
            scalars: Shape (n_times, n_atoms, channels).
            squares: Squared distances now and at time zero, Å^2, as published, shape (n_times, n_pairs, 2).
            pairs: Who sends to whom.

        Returns:
            Shape (n_times, n_pairs, channels).
        """
        first = self.message[0]
        assert isinstance(first, nn.Linear)
        onto, out_of, of_squares = torch.split(first.weight, [self._channels, self._channels, 2], dim=1)
        received, sent = (scalars @ onto.T).index_select(1, pairs.receiver), (scalars @ out_of.T).index_select(1, pairs.sender)
        message: Tensor = self.message[1:](received + sent + nn.functional.linear(squares, of_squares, first.bias))
        return message
