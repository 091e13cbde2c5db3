"""The ``paper`` network of TrajCast: the published equivariant architecture in Cartesian form, with its flaws mended."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from forcefree.models.trajcast_config import TrajCastConfig
from forcefree.nn.bases import BesselBasis, envelope
from forcefree.nn.tensor_block import TensorBlock, block_kinds
from forcefree.nn.tensor_coupling import harmonics
from forcefree.nn.tensor_edges import Chunk, Neighbourhoods, neighbourhoods
from forcefree.nn.tensor_irreps import VECTOR
from forcefree.nn.tensor_message import Weights
from forcefree.nn.tensor_radial import RadialTable
from forcefree.nn.tensor_velocity import VelocityEncoding

_READOUT_WIDTH = 16


class TensorNetwork(nn.Module):
    """Vector coefficients of each atom from scalars, vectors and symmetric traceless matrices of both parities.

    Equal in expressiveness to the published network (Thiemann et al., arXiv 2503.23794), path by path. What differs: it
    is smooth in the velocities also where one vanishes and does not lose them beyond ``velocity_max``; an atom without
    neighbours gets zero; and what cannot reach the output is not computed. Without gradients and in single precision the
    weights of messages are read from tables of a thousand points, made anew whenever parameters have changed.

    Args:
        config: Widths and depths.
        n_species: Elements that the model knows.
        cutoff: Å.
        outputs: Vectors per atom.
    """

    def __init__(self, config: TrajCastConfig, n_species: int, cutoff: float, outputs: int) -> None:
        super().__init__()
        channels = config.channels
        self._cutoff, self._neighbours = cutoff, config.neighbours
        self.bessel = BesselBasis(config.radial_functions, cutoff)
        self.velocity = VelocityEncoding(n_species, config.velocity_max)
        self.element = nn.Embedding(n_species, channels)
        self.speed = nn.Linear(VelocityEncoding.n_functions, channels, bias=False)
        self.direction = nn.Parameter(torch.randn(2, channels))
        self.blocks = nn.ModuleList(
            TensorBlock(channels, sources, results, n_species, config.radial_functions, config.filter_width)
            for sources, results in block_kinds(config.layers, (VECTOR,))
        )
        self.readout = nn.Sequential(
            nn.Linear(channels, _READOUT_WIDTH, bias=False), nn.Linear(_READOUT_WIDTH, outputs, bias=False)
        )
        self._table: RadialTable | None = None
        self._table_of: list[float] = []

    def forward(
        self, separations: Tensor, velocities: Tensor, species: Tensor, receiver: Tensor, sender: Tensor, scale: Tensor, degree: int
    ) -> Tensor:
        """Coefficients of the forecast.

        Args:
            separations: Vectors from receiver to sender, Å, shape (n_pairs, 3).
            velocities: Å/fs, relative to the centre of mass, shape (n_atoms, 3).
            species: Index of each atom's element, shape (n_atoms,).
            receiver: Shape (n_pairs,), sorted.
            sender: Shape (n_pairs,).
            scale: Å, what a coefficient of one means for each atom and output, shape (n_atoms, outputs).
            degree: Pairs per receiver where all have the same, otherwise 0; here neighbourhoods are cut out anyway.

        Returns:
            Shape (n_atoms, 3, outputs).
        """
        distances = separations.square().sum(dim=-1).clamp_min(1e-12).sqrt()
        near = (distances < self._cutoff).nonzero()[:, 0]
        distances, separations, receiver, sender = distances[near], separations[near], receiver[near], sender[near]
        n_atoms = len(velocities)
        directions = harmonics(separations / distances[:, None]) / self._neighbours
        radial, weights = self._radial(distances)
        pairs = neighbourhoods(receiver, sender, directions, radial, n_atoms)
        basis, velocity_harmonics = self.velocity(velocities, species)
        features = self._embed(species, basis, velocity_harmonics)
        for block, of_block in zip(self.blocks, weights, strict=True):
            features = block(features, pairs, of_block, basis, velocity_harmonics, species)
        near_others = distances.new_zeros(n_atoms).index_add(0, receiver, envelope(distances, self._cutoff)).tanh()
        coefficients: Tensor = self.readout(features) * (scale * near_others[:, None])[:, None]
        return coefficients

    def _embed(self, species: Tensor, basis: Tensor, velocity_harmonics: Tensor) -> Tensor:
        """First features, shape (n_atoms, 9, channels)."""
        scalars = math.sqrt(0.5) * (self.element(species) + self.speed(basis))
        _, vectors, matrices = velocity_harmonics[..., None].split([1, 3, 5], dim=1)
        return torch.cat([scalars[:, None], vectors * self.direction[0], matrices * self.direction[1]], dim=1)

    def _radial(self, distances: Tensor) -> tuple[tuple[Tensor, ...], list[Weights]]:
        """What to keep of each distance, and how each block makes its weights of that."""
        if torch.is_grad_enabled() or distances.dtype == torch.float64:
            return (self._basis(distances),), [_through(block.radial) for block in self.blocks]
        table = self._current_table(distances)
        return table.taps(distances), [_out_of(table, index) for index in range(len(self.blocks))]

    def _basis(self, distances: Tensor) -> Tensor:
        return self.bessel(distances) * envelope(distances, self._cutoff)[:, None]

    def _current_table(self, like: Tensor) -> RadialTable:
        parameters = [self.bessel.frequencies, *(weight for block in self.blocks for weight in block.radial.parameters())]
        checksums = torch.stack([parameter.sum() for parameter in parameters]).tolist()
        if self._table is None or checksums != self._table_of or self._table.values[0].device != like.device:
            functions = [lambda r, radial=block.radial: radial(self._basis(r)) for block in self.blocks]
            self._table, self._table_of = RadialTable(functions, self._cutoff, like), checksums
        return self._table


def _through(perceptron: nn.Module) -> Weights:
    def weights(chunk: Chunk) -> Tensor:
        result: Tensor = perceptron(chunk.radial[0])
        return result

    return weights


def _out_of(table: RadialTable, index: int) -> Weights:
    def weights(chunk: Chunk) -> Tensor:
        rows, taps = chunk.radial
        return table.look_up(index, (rows, taps))

    return weights
