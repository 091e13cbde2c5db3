"""One message-passing block of the published architecture, on Cartesian tensors."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from forcefree.nn.tensor_edges import Neighbourhoods
from forcefree.nn.tensor_irreps import ALL_TENSORS, SCALAR, TRUE_TENSORS, Irrep, needed_kinds, product_kinds, row_ranges
from forcefree.nn.tensor_message import TensorMessage, Weights
from forcefree.nn.tensor_radial import normalised_perceptron
from forcefree.nn.tensor_update import ElementResidual, TensorGate, TensorLinear
from forcefree.nn.tensor_velocity import VelocityEncoding, VelocityProduct

_START = 0.25  # gates square what they get, so that updates of full size at the start grow without bound from block to block


class TensorBlock(nn.Module):
    """Message, contraction, product with the velocity, gate, residual.

    After Thiemann et al. (arXiv 2503.23794), Methods. Kinds of tensors that ``results`` does not depend on are not computed.

    Args:
        channels: Features of each kind.
        sources: Kinds of the incoming features.
        results: Kinds of the outgoing features, all among what the incoming ones can give.
        n_species: Elements that the model knows.
        n_radial: Radial functions of the distance.
        hidden: Width of the perceptrons that give the weights of the products.
    """

    def __init__(
        self, channels: int, sources: tuple[Irrep, ...], results: tuple[Irrep, ...], n_species: int, n_radial: int, hidden: int
    ) -> None:
        super().__init__()
        with_gates = tuple(sorted({*results, SCALAR}))
        heard = tuple(kind for kind in product_kinds(sources) if kind in needed_kinds(with_gates))
        self.message = TensorMessage(channels, sources, heard)
        self.radial = normalised_perceptron(n_radial, hidden, hidden, hidden, self.message.n_weights)
        widths = {kind: len(paths) * channels for kind, paths in self.message.paths.items()}
        self.update = TensorUpdate(channels, widths, sources, results, n_species, hidden)

    def forward(
        self, features: Tensor, pairs: Neighbourhoods, weights: Weights, basis: Tensor, velocity_harmonics: Tensor, species: Tensor
    ) -> Tensor:
        """Pass messages once.

        Args:
            features: Shape (n_atoms, rows of the sources, channels).
            pairs: Who hears whom, from where, with harmonics divided by the root of the typical number of neighbours.
            weights: Gives the weights of a chunk of pairs.
            basis: Radial functions of the speed, shape (n_atoms, n_functions).
            velocity_harmonics: Shape (n_atoms, 9).
            species: Index of each atom's element, shape (n_atoms,).

        Returns:
            Shape (n_atoms, rows of the results, channels).
        """
        summed = self.message(features, pairs, weights)
        updated: Tensor = self.update(features, summed, pairs.position, basis, velocity_harmonics, species)
        return updated


class TensorUpdate(nn.Module):
    """What a block does to one atom at a time.

    Args:
        channels: Features of each kind.
        widths: Channels of each kind in the sum over neighbours.
        sources: Kinds of the block's incoming features.
        results: Kinds of its outgoing features.
        n_species: Elements that the model knows.
        hidden: Width of the perceptron of the speed.
    """

    def __init__(
        self,
        channels: int,
        widths: dict[Irrep, int],
        sources: tuple[Irrep, ...],
        results: tuple[Irrep, ...],
        n_species: int,
        hidden: int,
    ) -> None:
        super().__init__()
        with_gates = tuple(sorted({*results, SCALAR}))
        self.contraction = TensorLinear({kind: (width, channels) for kind, width in widths.items()}, _START)
        self.product = VelocityProduct(channels, tuple(widths), with_gates, VelocityEncoding.n_functions, hidden)
        self.gate = TensorGate({kind: len(paths) * channels for kind, paths in self.product.paths.items()}, results, channels)
        self._kept = tuple(kind for kind in results if kind in sources)
        self.residual = ElementResidual(n_species, self._kept, channels)
        self._rows = row_ranges(sources)
        self._results = results

    def forward(
        self,
        features: Tensor,
        summed: dict[Irrep, Tensor],
        position: Tensor,
        basis: Tensor,
        velocity_harmonics: Tensor,
        species: Tensor,
    ) -> Tensor:
        """Contract, multiply by the velocity's harmonics, gate, and add the residual; see :meth:`TensorBlock.forward`.

        Args:
            features: Shape (n_atoms, rows of the sources, channels).
            summed: What each atom has heard, in the order of the chunks.
            position: Where each atom stands in that order, shape (n_atoms,).
            basis: Shape (n_atoms, n_functions).
            velocity_harmonics: Shape (n_atoms, 9).
            species: Shape (n_atoms,).
        """
        heard = torch.cat(list(self.contraction(summed).values()), dim=1).index_select(0, position)
        update: Tensor = self.gate(self.product(heard, basis, velocity_harmonics))
        kept = {kind: features[:, self._rows[kind].start : self._rows[kind].stop] for kind in self._kept}
        return (update + self._pad(self.residual(kept, species))) * math.sqrt(0.5)

    def _pad(self, residual: Tensor) -> Tensor:
        """Zero rows where a result has no counterpart among the sources."""
        if self._kept == self._results:
            return residual
        parts = dict(zip(self._kept, torch.split(residual, [kind.size for kind in self._kept], dim=1), strict=True))
        absent = residual.new_zeros(len(residual), 1, residual.shape[2])
        return torch.cat([parts[kind] if kind in parts else absent.expand(-1, kind.size, -1) for kind in self._results], dim=1)


def block_kinds(layers: int, results: tuple[Irrep, ...]) -> list[tuple[tuple[Irrep, ...], tuple[Irrep, ...]]]:
    """Incoming and outgoing kinds of each of ``layers`` blocks: true tensors first, ``results`` last, everything in between."""
    kinds = [TRUE_TENSORS, *[ALL_TENSORS] * (layers - 1), results]
    return list(pairwise(kinds))
