"""Depth-wise tensor products of the senders' features with the harmonics of directions, summed over neighbours."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from forcefree.nn.tensor_constants import ConstantsModule
from forcefree.nn.tensor_coupling import coupling
from forcefree.nn.tensor_edges import Chunk, Neighbourhoods
from forcefree.nn.tensor_irreps import Irrep, Path, product_paths
from forcefree.nn.tensor_sum import NeighbourSum, Source

Weights = Callable[[Chunk], Tensor]


class TensorMessage(ConstantsModule):
    r"""Per receiver, path and channel, :math:`\sum_j w(r_{ij})\, h_j \otimes Y(\hat r_{ij})`.

    The coupling coefficients come last, once per atom instead of once per pair, which the linearity of the sum allows. No
    more than one chunk of pairs is in memory at a time; for gradients a chunk is computed anew.

    Args:
        channels: Features of each kind.
        sources: Kinds of the features.
        results: Kinds of the products that somebody needs.
    """

    def __init__(self, channels: int, sources: tuple[Irrep, ...], results: tuple[Irrep, ...]) -> None:
        super().__init__()
        self._channels = channels
        candidates = [Source(order, tuple(kind.pseudo for kind in sources if kind.order == order)) for order in range(3)]
        self.sum = NeighbourSum(channels, tuple(source for source in candidates if source.pseudo))
        self.n_weights = self.sum.n_weights
        location = self._lay_out()
        self.paths = {kind: [path for path in product_paths(sources, results) if path.result == kind] for kind in results}
        for kind, paths in self.paths.items():
            rows = [location[path, component] for component in range(kind.size) for path in paths]
            self.register_buffer(f"rows_{kind.name}", torch.tensor(rows), persistent=False)

    def _lay_out(self) -> dict[tuple[Path, int], int]:
        """Make the coupling matrices; return the row in which each component of each path ends up."""
        location: dict[tuple[Path, int], int] = {}
        total = 0
        for index, (source, harmonic) in enumerate(self.sum.products):
            matrix, outcome = _coupling_matrix(source, harmonic)
            if source.order and harmonic:
                self.keep(f"coupling_{index}", matrix)
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
            sums = [checkpoint(self._couple, flat, chunk, weights, use_reentrant=False) for chunk in pairs.chunks]
        else:
            sums = [self._couple(flat, chunk, weights) for chunk in pairs.chunks]
        rows = torch.cat(sums) if len(sums) > 1 else sums[0]
        return {kind: rows.index_select(1, self.get_buffer(f"rows_{kind.name}")).view(len(rows), kind.size, -1) for kind in self.paths}

    def _couple(self, flat: Tensor, chunk: Chunk, weights: Weights) -> Tensor:
        """Products of one chunk, shape (n_receivers, rows, channels)."""
        coupled = []
        for index, rows in enumerate(self.sum(flat, chunk.sender, chunk.harmonics, weights(chunk))):
            matrix: Tensor | None = getattr(self, f"coupling_{index}", None)
            coupled.append(rows if matrix is None else torch.bmm(matrix.expand(len(rows), -1, -1), rows))
        return torch.cat(coupled, dim=1)


def _coupling_matrix(source: Source, harmonic: int) -> tuple[Tensor, dict[tuple[Path, int], int]]:
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
