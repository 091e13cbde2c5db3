"""The energy head: a learnt potential energy beside a forecaster, so that a rollout can check its own total energy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from forcefree.graph import Neighbours
from forcefree.models.energy_config import EnergyConfig
from forcefree.nn.bases import GaussianBasis, envelope
from forcefree.nn.cartesian_update import CartesianUpdate
from forcefree.nn.features import Features
from forcefree.nn.still_edges import StillEdges
from forcefree.nn.still_message import StillMessage
from forcefree.nn.tensor_radial import normalised_perceptron
from forcefree.state import State

_PAIR_WIDTH = 16
_NEAREST = 0.6  # Å


class EnergyHead(nn.Module):
    r"""Potential energy of each system, :math:`\sum_i e_{z_i} + \epsilon_i`, from positions and elements alone.

    It does not see velocities, on purpose. In the data fast atoms come with low potential energies, because the total
    stays; a head that saw speeds would learn that, and would then call the energy constant that it is there to watch.
    So it has a small network of its own instead of reading the forecaster's features, which know the velocities.

    Energies are sums over atoms of what each sees inside the cutoff: invariant, smooth, extensive, and independent of
    batch-mates.

    Args:
        config: Widths and depths.
        species: Atomic numbers that the model knows.
        cutoff: Å.

    Attributes:
        references: Energy of an atom of each element in eV, fitted to the training data, float64, shape (n_species,).
    """

    references: Tensor
    lookup: Tensor

    def __init__(self, config: EnergyConfig, species: Sequence[int], cutoff: float) -> None:
        super().__init__()
        channels, matrices, n_species = config.channels, config.matrix_channels, len(species)
        self._cutoff, self._n_species, self._matrix_channels = cutoff, n_species, matrices
        self.radial = GaussianBasis(config.radial_functions, _NEAREST, cutoff)
        self.element = nn.Embedding(n_species, channels)
        self.pair = nn.Embedding(n_species * n_species, _PAIR_WIDTH)
        width = config.radial_functions + _PAIR_WIDTH
        self.messages = nn.ModuleList(
            StillMessage(channels, matrices, width, config.filter_width, config.neighbours, first=index == 0)
            for index in range(config.layers)
        )
        self.updates = nn.ModuleList(CartesianUpdate(channels, matrices) for _ in range(config.layers - 1))
        self.readout = normalised_perceptron(2 * channels + matrices, channels, 1)
        for parameter in list(self.readout.parameters())[-1:]:
            nn.init.zeros_(parameter)
        self.register_buffer("references", torch.zeros(n_species, dtype=torch.float64))
        lookup = torch.zeros(119, dtype=torch.int64)
        lookup[torch.tensor(list(species))] = torch.arange(n_species)
        self.register_buffer("lookup", lookup, persistent=False)
        self._neighbours = Neighbours(cutoff)

    def forward(self, state: State) -> Tensor:
        """Potential energy in eV, float64, shape (n_systems,)."""
        species = self.lookup[state.numbers]
        return state.sum(self.references[species] + self._learnt(state, species).double())

    def composition(self, state: State) -> Tensor:
        """Atoms of each element in each system, float64, shape (n_systems, n_species)."""
        return state.sum(nn.functional.one_hot(self.lookup[state.numbers], self._n_species).double())

    def _learnt(self, state: State, species: Tensor) -> Tensor:
        """What the network says of each atom in eV, the size of what bonds do, shape (n_atoms,)."""
        precision = self.element.weight.dtype
        pairs = self._neighbours(state)
        separations = pairs.vectors(state, state.positions).to(precision)
        distances = separations.square().sum(dim=-1).clamp_min(1e-12).sqrt()
        kind = species[pairs.receiver] * self._n_species + species[pairs.sender]
        edges = StillEdges(
            receiver=pairs.receiver,
            sender=pairs.sender,
            degree=pairs.degree,
            invariants=torch.cat([self.radial(distances), self.pair(kind)], dim=-1),
            envelope=envelope(distances, self._cutoff)[:, None],
            directions=(separations / distances[:, None])[..., None],
        )
        features = Features.of_scalars(self.element(species), self._matrix_channels)
        for index, message in enumerate(self.messages):
            features = self.updates[index - 1](features) if index else features
            features = message(features, edges)
        scalars, vectors, matrices = features
        invariants = torch.cat([scalars, vectors.square().sum(dim=1), matrices.square().sum(dim=(1, 2))], dim=-1)
        learnt: Tensor = self.readout(invariants)[:, 0]
        return learnt
