"""Depth-wise tensor products of the senders' features with the harmonics of directions, summed over neighbours."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from forcefree.nn.tensor_coupling import ORDERS, coupling
from forcefree.nn.tensor_edges import Chunk, Neighbourhoods
from forcefree.nn.tensor_irreps import Irrep, Path, product_paths, row_ranges

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
        self._pseudo = {order: [kind.pseudo for kind in sources if kind.order == order] for order in range(3)}
        self._rows = {order: sum(kind.size for kind in sources if kind.order == order) for order in range(3)}
        self._products = {order: [triple for triple in ORDERS if triple[0] == order] for order in range(3)}
        self._widths = [len(self._products[order]) * len(self._pseudo[order]) * channels for order in range(3)]
        self.n_weights = sum(self._widths)
        location = self._lay_out()
        self.paths = {kind: [path for path in product_paths(sources, results) if path.result == kind] for kind in results}
        for kind, paths in self.paths.items():
            rows = [location[path, component] for component in range(kind.size) for path in paths]
            self.register_buffer(f"rows_{kind.name}", torch.tensor(rows), persistent=False)

    def _lay_out(self) -> dict[tuple[Path, int], int]:
        """Make the coupling matrices; return the row in which each component of each path ends up."""
        location: dict[tuple[Path, int], int] = {}
        total = 0
        for order in range(3):
            for harmonic in range(3):
                triples = [triple for triple in self._products[order] if triple[1] == harmonic]
                matrix, outcome = _coupling_matrix(triples, self._pseudo[order])
                self.register_buffer(f"coupling_{order}{harmonic}", matrix.to(torch.get_default_dtype()), persistent=False)
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
        sent = flat.index_select(0, chunk.sender).split([rows * self._channels for rows in self._rows.values()], dim=1)
        filters = weights(chunk).split(self._widths, dim=1)
        harmonics = chunk.harmonics.split([1, 3, 5], dim=1)
        summed = []
        for order, products in self._products.items():
            parities = len(self._pseudo[order])
            if not parities:
                continue
            factor = filters[order].view(-1, len(products), parities, 1, self._channels)
            weighted = factor * sent[order].view(-1, 1, parities, 2 * order + 1, self._channels)
            widths = [sum(triple[1] == harmonic for triple in products) * self._rows[order] * self._channels for harmonic in range(3)]
            parts = weighted.view(n_receivers, places, -1).split(widths, dim=2)
            for harmonic in range(3):
                rows = torch.bmm(harmonics[harmonic], parts[harmonic]).view(n_receivers, -1, self._channels)
                if order and harmonic:
                    rows = torch.bmm(self.get_buffer(f"coupling_{order}{harmonic}").expand(n_receivers, -1, -1), rows)
                summed.append(rows)
        return torch.cat(summed, dim=1)


def _coupling_matrix(triples: list[tuple[int, int, int]], parities: list[bool]) -> tuple[Tensor, dict[tuple[Path, int], int]]:
    """Matrix from rows (harmonic component, path, parity, source component) to rows (path, parity, result component).

    Also the row of each component of each path. With a scalar among the factors the matrix is a permutation, nobody
    multiplies by it, and the rows are those of the input.
    """
    order, harmonic, _ = triples[0]
    n, m, s = 2 * order + 1, 2 * harmonic + 1, len(parities)
    height = sum(2 * triple[2] + 1 for triple in triples) * s
    matrix = torch.zeros(height, m, len(triples), s, n, dtype=torch.float64)
    location: dict[tuple[Path, int], int] = {}
    row = 0
    for index, triple in enumerate(triples):
        coefficients = coupling(*triple)
        for parity, pseudo in enumerate(parities):
            path = Path(Irrep(order, pseudo), harmonic, Irrep(triple[2], pseudo != (sum(triple) % 2 == 1)))
            for component in range(2 * triple[2] + 1):
                matrix[row, :, index, parity] = coefficients[:, :, component].T
                if order and harmonic:
                    location[path, component] = row
                else:
                    location[path, component] = component * s + parity if order == 0 else parity * n + component
                row += 1
    return matrix.view(height, -1), location


def feature_rows(kinds: tuple[Irrep, ...]) -> int:
    """Rows of the features of one atom that has all of ``kinds``."""
    return max(rows.stop for rows in row_ranges(kinds).values())
