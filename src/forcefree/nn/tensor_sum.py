"""The sum over neighbours of weights times features times harmonics: where a Cartesian tensor network spends its time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.nn.tensor_coupling import ORDERS


class Source:
    """Features of one order, and their products with the harmonics.

    Args:
        order: l of the features.
        pseudo: Which parities there are, in the order of their rows.
    """

    def __init__(self, order: int, pseudo: tuple[bool, ...]) -> None:
        self.order, self.pseudo, self.size = order, pseudo, 2 * order + 1
        self.triples = [[triple for triple in ORDERS if triple[:2] == (order, harmonic)] for harmonic in range(3)]
        self.paths = [len(triples) for triples in self.triples]


class NeighbourSum(nn.Module):
    r"""All :math:`\sum_j w_{pc}(r_{ij})\, Y_m(\hat r_{ij})\, h_{j,nc}` that the paths p of each pair of orders need.

    Eagerly one elementwise product and one matrix product per pair of orders; compiled (:meth:`torch.nn.Module.compile`) one
    fused loop that never stores a product.

    Args:
        channels: Features of each kind.
        sources: Orders of the features, ascending.
    """

    def __init__(self, channels: int, sources: tuple[Source, ...]) -> None:
        super().__init__()
        self._channels, self._sources = channels, sources
        self._weight_widths = [sum(source.paths) * len(source.pseudo) * channels for source in sources]
        self._feature_widths = [len(source.pseudo) * source.size * channels for source in sources]
        self.n_weights = sum(self._weight_widths)
        self.products = [(source, harmonic) for source in sources for harmonic in range(3)]

    def forward(self, features: Tensor, sender: Tensor, harmonics: Tensor, weights: Tensor) -> list[Tensor]:
        """Sum over the places of each receiver.

        Args:
            features: Shape (n_atoms, rows * channels).
            sender: Atom of every place, shape (n_receivers * places,).
            harmonics: Shape (n_receivers, 9, places), zero where a place is empty.
            weights: Shape (n_receivers * places, n_weights), ordered by source, harmonic, result, parity and channel.

        Returns:
            For each of :attr:`products` rows ordered by component of the harmonic, result, parity and component of the
            feature; each of shape (n_receivers, rows, channels).
        """
        method = _fused_sum if torch.compiler.is_compiling() else _sum
        sent = torch.split(features.index_select(0, sender), self._feature_widths, dim=1)
        components = torch.split(harmonics, [1, 3, 5], dim=1)
        filters = torch.split(weights, self._weight_widths, dim=1)
        sums = []
        for source, tensors, factors in zip(self._sources, sent, filters, strict=True):
            parities = len(source.pseudo)
            right = tensors.view(-1, 1, parities, source.size, self._channels)
            left = torch.split(factors.view(-1, sum(source.paths), parities, 1, self._channels), source.paths, dim=1)
            sums += [method(components[harmonic], left[harmonic], right) for harmonic in range(3)]
        return sums


def _sum(harmonics: Tensor, left: Tensor, right: Tensor) -> Tensor:
    n_receivers, _, places = harmonics.shape
    product = (left * right).view(n_receivers, places, -1)
    return torch.bmm(harmonics, product).view(n_receivers, -1, right.shape[-1])


def _fused_sum(harmonics: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """The same, one harmonic after another: in this form the compiler makes one loop over places without storing products."""
    n_receivers, n_harmonics, places = harmonics.shape
    left, right = (tensor.view(n_receivers, places, *tensor.shape[1:]) for tensor in (left, right))
    factors = harmonics[..., None, None, None, None]
    sums = [(factors[:, component] * left * right).sum(dim=1) for component in range(n_harmonics)]
    return torch.cat([part.flatten(1, 3) for part in sums], dim=1)
