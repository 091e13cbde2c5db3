"""How an atom's own velocity enters: a smooth radial basis mixed per element, smooth harmonics, and a product with them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from forcefree.nn.tensor_constants import ConstantsModule
from forcefree.nn.tensor_coupling import coupling, harmonics
from forcefree.nn.tensor_irreps import Irrep, product_paths, row_ranges
from forcefree.nn.tensor_radial import normalised_perceptron

_GAUSSIANS = 7


class VelocityEncoding(ConstantsModule):
    r"""Radial basis and harmonics of velocities, infinitely differentiable also at rest.

    Gaussians of the softened speed :math:`\sqrt{v^2 + v_0^2} - v_0` up to ``velocity_max`` and one function that keeps
    growing, :math:`\ln(1 + v^2 / v_{max}^2)`, mixed by a matrix per element; and solid harmonics of
    :math:`v / \sqrt{v^2 + v_0^2}`, which vanish with the velocity and do not explode with it.

    Args:
        n_species: Elements that the model knows.
        velocity_max: Å/fs, where the Gaussians end.
    """

    centres: Tensor
    n_functions = _GAUSSIANS + 1

    def __init__(self, n_species: int, velocity_max: float) -> None:
        super().__init__()
        self._max = velocity_max
        self._soft = velocity_max / 8.0
        spacing = velocity_max / (_GAUSSIANS + 1)
        self.keep("centres", spacing * torch.arange(1, _GAUSSIANS + 1, dtype=torch.float64))
        self._per_width = 1.0 / spacing
        self.mix = nn.Parameter(torch.randn(n_species, self.n_functions, self.n_functions) / math.sqrt(self.n_functions))

    def forward(self, velocities: Tensor, species: Tensor) -> tuple[Tensor, Tensor]:
        """Encode velocities.

        Args:
            velocities: Å/fs, relative to the centre of mass, shape (n_atoms, 3).
            species: Index of each atom's element, shape (n_atoms,).

        Returns:
            Radial functions (n_atoms, 8) and harmonics up to l = 2 (n_atoms, 9).
        """
        square = velocities.square().sum(dim=-1, keepdim=True)
        softened = (square + self._soft**2).sqrt()
        gaussians = torch.exp(-(((softened - self._soft - self.centres) * self._per_width).square()))
        growing = torch.log1p(square / self._max**2)
        basis = math.sqrt(self.n_functions) * torch.cat([gaussians, growing], dim=-1)
        mixed = torch.bmm(basis[:, None], self.mix[species])[:, 0]
        return mixed, harmonics(velocities / softened)


class VelocityProduct(ConstantsModule):
    """Depth-wise tensor product of an atom's features with its velocity's harmonics, weighted by functions of its speed.

    Args:
        channels: Features of each kind.
        sources: Kinds of the features.
        results: Kinds of the products.
        n_functions: Radial functions of the speed.
        hidden: Width of the perceptron that gives the weights.
    """

    row_path: Tensor
    row_feature: Tensor
    couplings: Tensor

    def __init__(self, channels: int, sources: tuple[Irrep, ...], results: tuple[Irrep, ...], n_functions: int, hidden: int) -> None:
        super().__init__()
        every = product_paths(sources, results)
        self._channels = channels
        self.paths = {kind: [path for path in every if path.result == kind] for kind in results}
        self.weights = normalised_perceptron(n_functions, hidden, hidden, hidden, len(every) * channels)
        where = row_ranges(sources)
        index = {path: number for number, path in enumerate(path for paths in self.paths.values() for path in paths)}
        ordered = [(index[path], row) for path in index for row in where[path.source]]
        self.register_buffer("row_path", torch.tensor([path for path, _ in ordered]), persistent=False)
        self.register_buffer("row_feature", torch.tensor([row for _, row in ordered]), persistent=False)
        blocks = [_harmonic_matrix(kind, [(path.source.order, path.harmonic) for path in paths]) for kind, paths in self.paths.items()]
        self._shapes = [(block.shape[1], block.shape[2]) for block in blocks]
        self.keep("couplings", torch.cat([block.flatten(1) for block in blocks], dim=1))

    def forward(self, features: Tensor, basis: Tensor, velocity_harmonics: Tensor) -> dict[Irrep, Tensor]:
        """Multiply.

        Args:
            features: Shape (n_atoms, rows, channels).
            basis: Radial functions of the speed, shape (n_atoms, n_functions).
            velocity_harmonics: Shape (n_atoms, 9).

        Returns:
            For each kind of result its paths side by side, shape (n_atoms, size, n_paths * channels).
        """
        n_atoms = len(features)
        weights = self.weights(basis).view(n_atoms, -1, self._channels)
        weighted = weights.index_select(1, self.row_path) * features.index_select(1, self.row_feature)
        matrices = torch.split(velocity_harmonics @ self.couplings, [height * width for height, width in self._shapes], dim=1)
        parts = torch.split(weighted, [width for _, width in self._shapes], dim=1)
        return {
            kind: torch.bmm(matrix.view(n_atoms, *shape), part).view(n_atoms, kind.size, -1)
            for kind, shape, matrix, part in zip(self.paths, self._shapes, matrices, parts, strict=True)
        }


def _harmonic_matrix(kind: Irrep, orders: list[tuple[int, int]]) -> Tensor:
    """For each of the nine harmonics the matrix from rows (path, source component) to rows (result component, path)."""
    width = sum(2 * source + 1 for source, _ in orders)
    matrix = torch.zeros(9, kind.size, len(orders), width, dtype=torch.float64)
    start = 0
    for path, (source, harmonic) in enumerate(orders):
        coefficients = coupling(source, harmonic, kind.order)
        columns = slice(start, start + 2 * source + 1)
        matrix[harmonic**2 : (harmonic + 1) ** 2, :, path, columns] = coefficients.permute(1, 2, 0)
        start = columns.stop
    return matrix.view(9, kind.size * len(orders), width)
