"""The ``paper`` network of TrajCast: the published equivariant architecture in Cartesian form, with its flaws mended."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from forcefree.models.trajcast_config import TrajCastConfig
from forcefree.nn.bases import BesselBasis, envelope
from forcefree.nn.pair_list import PairList
from forcefree.nn.tensor_block import TensorBlock, block_kinds
from forcefree.nn.tensor_coupling import harmonics
from forcefree.nn.tensor_edges import Chunk, neighbourhoods
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
    weights of messages are read from tables of five hundred points, made anew whenever parameters have changed.

    Args:
        config: Widths and depths.
        n_species: Elements that the model knows.
        cutoff: Å.
        outputs: Vectors per atom.
    """

    def __init__(self, config: TrajCastConfig, n_species: int, cutoff: float, outputs: int) -> None:
        super().__init__()
        channels = config.channels
        self._cutoff = cutoff
        self._norm = config.neighbours**-0.5
        self._radial_unit = 0.5 * cutoff**1.5  # brings Bessel functions at half the cutoff to order one
        self.bessel = BesselBasis(config.radial_functions, cutoff)
        self.velocity = VelocityEncoding(n_species, config.velocity_max)
        self.element = nn.Embedding(n_species, channels)
        self.speed = nn.Linear(VelocityEncoding.n_functions, channels, bias=False)
        self.direction = nn.Parameter(torch.randn(2, channels))
        self.blocks = nn.ModuleList(
            TensorBlock(channels, sources, results, n_species, config.radial_functions, config.filter_width)
            for sources, results in block_kinds(config.layers, (VECTOR,))
        )
        self.readout = nn.Sequential(nn.Linear(channels, _READOUT_WIDTH, bias=False), nn.Linear(_READOUT_WIDTH, outputs, bias=False))
        self._table: RadialTable | None = None
        self._table_of: list[float] = []

    def forward(self, pairs: PairList, velocities: Tensor, species: Tensor, scale: Tensor) -> Tensor:
        """Coefficients of the forecast.

        Args:
            pairs: Of atoms, within the cutoff at least; it makes no difference here whether all have as many.
            velocities: Å/fs, relative to the centre of mass, shape (n_atoms, 3).
            species: Index of each atom's element, shape (n_atoms,).
            scale: Å, what a coefficient of one means for each atom and output, shape (n_atoms, outputs).

        Returns:
            Shape (n_atoms, 3, outputs).
        """
        separations, receiver, sender, _ = pairs
        distances = separations.square().sum(dim=-1).clamp_min(1e-12).sqrt()
        near = (distances < self._cutoff).nonzero()[:, 0]
        distances, separations, receiver, sender = distances[near], separations[near], receiver[near], sender[near]
        n_atoms = len(velocities)
        directions = harmonics(separations / distances[:, None]) * self._norm
        radial, weights = self._radial(distances)
        near_pairs = neighbourhoods(receiver, sender, directions, radial, n_atoms)
        basis, velocity_harmonics = self.velocity(velocities, species)
        features = self._embed(species, basis, velocity_harmonics)
        for block, of_block in zip(self._chain, weights, strict=True):
            features = block(features, near_pairs, of_block, basis, velocity_harmonics, species)
        near_others = distances.new_zeros(n_atoms).index_add(0, receiver, envelope(distances, self._cutoff)).tanh()
        coefficients: Tensor = self.readout(features) * (scale * near_others[:, None])[:, None]
        return coefficients

    def compile_parts(self) -> None:
        """Compile the sums over neighbours and the updates of atoms for any number of either.

        Takes a minute or so at the first forward pass, and needs a C++ compiler.
        """
        for block in self._chain:
            block.message.sum.compile(dynamic=True)
            block.update.compile(dynamic=True)

    @property
    def _chain(self) -> list[TensorBlock]:
        return cast("list[TensorBlock]", list(self.blocks))

    def _embed(self, species: Tensor, basis: Tensor, velocity_harmonics: Tensor) -> Tensor:
        """First features, shape (n_atoms, 9, channels)."""
        scalars = math.sqrt(0.5) * (self.element(species) + self.speed(basis))
        _, vectors, matrices = torch.split(velocity_harmonics[..., None], [1, 3, 5], dim=1)
        return torch.cat([scalars[:, None], vectors * self.direction[0], matrices * self.direction[1]], dim=1)

    def _radial(self, distances: Tensor) -> tuple[tuple[Tensor, ...], list[Weights]]:
        """What to keep of each distance, and how each block makes its weights of that."""
        if torch.is_grad_enabled() or distances.dtype == torch.float64:
            return (self._basis(distances),), [_through(block.radial) for block in self._chain]
        table = self._current_table(distances)
        return table.taps(distances), [_out_of(table, index) for index in range(len(self.blocks))]

    def _basis(self, distances: Tensor) -> Tensor:
        basis: Tensor = self.bessel(distances) * (self._radial_unit * envelope(distances, self._cutoff)[:, None])
        return basis

    def _current_table(self, like: Tensor) -> RadialTable:
        parameters = [self.bessel.frequencies, *(weight for block in self._chain for weight in block.radial.parameters())]
        checksums = torch.stack([parameter.sum() for parameter in parameters]).tolist()
        if self._table is None or checksums != self._table_of or self._table.values[0].device != like.device:
            self._table = RadialTable([block.radial for block in self._chain], self._basis, self._cutoff, like)
            self._table_of = checksums
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
