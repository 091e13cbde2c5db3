"""Depth-wise tensor products of the senders' features with the harmonics of directions, summed over neighbours."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from forcefree.nn.tensor_coupling import ORDERS, coupling
from forcefree.nn.tensor_edges import Chunk, Neighbourhoods
from forcefree.nn.tensor_irreps import Irrep, Path, product_paths

Weights = Callable[[Chunk], Tensor]


class TensorMessage(nn.Module):
    r"""Per receiver, path and channel, :math:`\sum_j w(r_{ij})\, h_j \otimes Y(\hat r_{ij})`.

    What depends on the path and the channel is one elementwise product per pair; the sum over neighbours is a matrix
    product with the harmonics; and the coupling coefficients come last, once per atom instead of once per pair, which the
    linearity of the sum allows. No more than one chunk of pairs is in memory at a time.

    Args:
        channels: Features of each kind.
        sources: Kinds of the features.
        results: Kinds of the products that somebody needs.
    """

    def __init__(self, channels: int, sources: tuple[Irrep, ...], results: tuple[Irrep, ...]) -> None:
        super().__init__()
        self._channels = channels
        self._sources = [_Source(order, [kind.pseudo for kind in sources if kind.order == order]) for order in range(3)]
        self._sources = [source for source in self._sources if source.pseudo]
        self._weight_widths = [sum(source.paths) * len(source.pseudo) * channels for source in self._sources]
        self._feature_widths = [len(source.pseudo) * source.size * channels for source in self._sources]
        self.n_weights = sum(self._weight_widths)
        location = self._lay_out()
        self.paths = {kind: [path for path in product_paths(sources, results) if path.result == kind] for kind in results}
        for kind, paths in self.paths.items():
            rows = [location[path, component] for component in range(kind.size) for path in paths]
            self.register_buffer(f"rows_{kind.name}", torch.tensor(rows), persistent=False)

    def _lay_out(self) -> dict[tuple[Path, int], int]:
        """Make the coupling matrices; return the row in which each component of each path ends up."""
        location: dict[tuple[Path, int], int] = {}
        total = 0
        for source in self._sources:
            for harmonic in range(3):
                matrix, outcome = _coupling_matrix(source, harmonic)
                if source.order and harmonic:
                    self.register_buffer(f"coupling_{source.order}{harmonic}", matrix.to(torch.get_default_dtype()), persistent=False)
                location |= {what: total + row for what, row in outcome.items()}
                total += len(outcome)
        return location

    def forward(self, features: Tensor, pairs: Neighbourhoods, weights: Weights) -> dict[Irrep, Tensor]:
        """Sum the products over the neighbours of every atom.

        Args:
            features: Shape (n_atoms, rows, channels), rows ordered as the kinds are.
            pairs: Who hears whom, from where.
            weights: Gives the weights of a chunk, shape (n_receivers * places, n_weights).

        Returns:
            For each kind of result its paths side by side, shape (n_atoms, size, n_paths * channels), the atoms in the
            order of the chunks; see :attr:`Neighbourhoods.position`.
        """
        flat = features.flatten(1)
        if torch.is_grad_enabled() and len(pairs.chunks) > 1:
            sums = [checkpoint(self._sum, flat, chunk, weights, use_reentrant=False) for chunk in pairs.chunks]
        else:
            sums = [self._sum(flat, chunk, weights) for chunk in pairs.chunks]
        rows = torch.cat(sums) if len(sums) > 1 else sums[0]
        return {
            kind: rows.index_select(1, self.get_buffer(f"rows_{kind.name}")).view(len(rows), kind.size, -1) for kind in self.paths
        }

    def _sum(self, flat: Tensor, chunk: Chunk, weights: Weights) -> Tensor:
        """Products of one chunk, shape (n_receivers, rows, channels)."""
        n_receivers, _, places = chunk.harmonics.shape
        sent = flat.index_select(0, chunk.sender).split(self._feature_widths, dim=1)
        filters = weights(chunk).split(self._weight_widths, dim=1)
        harmonics = chunk.harmonics.split([1, 3, 5], dim=1)
        summed = []
        for source, tensors, factors in zip(self._sources, sent, filters, strict=True):
            parities = len(source.pseudo)
            features = tensors.view(-1, 1, parities, source.size, self._channels)
            by_harmonic = factors.view(-1, sum(source.paths), parities, 1, self._channels).split(source.paths, dim=1)
            for harmonic, factor in enumerate(by_harmonic):
                weighted = _product(factor, features).view(n_receivers, places, -1)
                rows = torch.bmm(harmonics[harmonic], weighted).view(n_receivers, -1, self._channels)
                if source.order and harmonic:
                    matrix: Tensor = getattr(self, f"coupling_{source.order}{harmonic}")
                    rows = torch.bmm(matrix.expand(n_receivers, -1, -1), rows)
                summed.append(rows)
        return torch.cat(summed, dim=1)


class _Source:
    """Features of one order: which parities, and how many paths they have with each harmonic."""

    def __init__(self, order: int, pseudo: list[bool]) -> None:
        self.order, self.pseudo, self.size = order, pseudo, 2 * order + 1
        self.triples = [[triple for triple in ORDERS if triple[:2] == (order, harmonic)] for harmonic in range(3)]
        self.paths = [len(triples) for triples in self.triples]


_WORKSPACE = threading.local()


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Product; without gradients in memory that this thread uses again and again, so that it stays in the cache."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return left * right
    shape = torch.broadcast_shapes(left.shape, right.shape)
    size = math.prod(shape)
    memory: Tensor | None = getattr(_WORKSPACE, "memory", None)
    if memory is None or len(memory) < size or memory.dtype != left.dtype or memory.device != left.device:
        memory = _WORKSPACE.memory = left.new_empty(size)
    return torch.mul(left, right, out=memory[:size].view(shape))


def _coupling_matrix(source: _Source, harmonic: int) -> tuple[Tensor, dict[tuple[Path, int], int]]:
    """Matrix from rows (harmonic component, path, parity, source component) to rows (path, parity, result component).

    Also the row of each component of each path. With a scalar among the factors the matrix is a permutation, nobody
    multiplies by it, and the rows are those of the input.
    """
    triples, order, parities = source.triples[harmonic], source.order, len(source.pseudo)
    height = sum(2 * triple[2] + 1 for triple in triples) * parities
    matrix = torch.zeros(height, 2 * harmonic + 1, len(triples), parities, source.size, dtype=torch.float64)
    location: dict[tuple[Path, int], int] = {}
    row = 0
    for index, triple in enumerate(triples):
        coefficients = coupling(*triple)
        for parity, pseudo in enumerate(source.pseudo):
            path = Path(Irrep(order, pseudo), harmonic, Irrep(triple[2], pseudo != (sum(triple) % 2 == 1)))
            for component in range(2 * triple[2] + 1):
                matrix[row, :, index, parity] = coefficients[:, :, component].T
                if order and harmonic:
                    location[path, component] = row
                else:
                    location[path, component] = component * parities + parity if order == 0 else parity * source.size + component
                row += 1
    return matrix.view(height, -1), location
