"""The network of MDtrajNet: attention over neighbours, then refinement of its own provisional trajectory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.models.mdtrajnet_config import MDtrajNetConfig
from forcefree.nn.attention import NeighbourAttention
from forcefree.nn.bases import GaussianBasis, envelope
from forcefree.nn.cartesian_update import CartesianUpdate
from forcefree.nn.chebyshev import segment_basis, segment_nodes
from forcefree.nn.features import Features
from forcefree.nn.refinement import TrajectoryRefinement
from forcefree.nn.velocity_message import EdgeFeatures, relative_motion

_PAIR_WIDTH = 16
_MOTION_SCALE = 3.0  # brings relative velocities (Å per 10 fs) and their squares to order one


class AttentionNetwork(nn.Module):
    """Vector coefficients of each atom from one pass over elements, separations and relative velocities.

    Args:
        config: Widths and depths.
        n_species: Elements that the model knows.
        cutoff: Å.
        t_max: Length of the segment in fs.
    """

    node_times: Tensor
    node_basis: Tensor

    def __init__(self, config: MDtrajNetConfig, n_species: int, cutoff: float, t_max: float) -> None:
        super().__init__()
        self._n_species, self._cutoff, self._t_max = n_species, cutoff, t_max
        self._matrix_channels = config.matrix_channels
        channels, outputs, few = config.channels, config.time_functions, config.matrix_channels
        self.radial = GaussianBasis(config.radial_functions, 0.6, cutoff)
        self.element = nn.Embedding(n_species, channels)
        self.pair = nn.Embedding(n_species * n_species, _PAIR_WIDTH)
        width = config.radial_functions + _PAIR_WIDTH + 3
        self.attention = nn.ModuleList(
            NeighbourAttention(
                channels, few, width, config.filter_width, config.heads, config.neighbours, normalised=config.normalised, first=index == 0
            )
            for index in range(config.layers)
        )
        self.refinements = nn.ModuleList(
            TrajectoryRefinement(
                channels, config.radial_functions, _PAIR_WIDTH, config.refinement_width, config.nodes, cutoff, config.neighbours
            )
            for _ in range(config.refinements)
        )
        self.updates = nn.ModuleList(CartesianUpdate(channels, few) for _ in range(config.refinements))
        self.readouts = nn.ModuleList(nn.Linear(channels, outputs, bias=False) for _ in range(1 + config.refinements))
        for readout in list(self.readouts)[1:]:
            for parameter in readout.parameters():
                nn.init.zeros_(parameter)
        times = segment_nodes(config.nodes, t_max)
        basis, _ = segment_basis(times, outputs, t_max)
        self.register_buffer("node_times", times.to(torch.get_default_dtype()), persistent=False)
        self.register_buffer("node_basis", basis.to(torch.get_default_dtype()), persistent=False)

    def forward(
        self, separations: Tensor, velocities: Tensor, species: Tensor, receiver: Tensor, sender: Tensor, scale: Tensor, degree: int
    ) -> Tensor:
        """Coefficients of the forecast; arguments and result as in :meth:`~forcefree.models.refined_network.RefinedNetwork.forward`."""
        relative = (velocities[sender] - velocities[receiver]) * self._t_max
        distances, directions, motion = relative_motion(separations, relative)
        pair = self.pair(species[receiver] * self._n_species + species[sender])
        edges = EdgeFeatures(
            receiver=receiver,
            sender=sender,
            degree=degree,
            invariants=torch.cat([self.radial(distances), pair, _MOTION_SCALE * motion], dim=-1),
            envelope=envelope(distances, self._cutoff)[:, None],
            directions=directions[..., None],
            velocities=relative[..., None],
        )
        features = Features.of_scalars(self.element(species), self._matrix_channels)
        for attention in self.attention:
            features = attention(features, edges)
        coefficients: Tensor = self.readouts[0](features.vectors) * scale[:, None]
        for refinement, update, readout in zip(self.refinements, self.updates, list(self.readouts)[1:], strict=True):
            moved = velocities * self.node_times[:, None, None] + torch.einsum("nak,mk->mna", coefficients, self.node_basis)
            provisional = separations + moved[:, sender] - moved[:, receiver]
            lengths = provisional.square().sum(dim=-1).clamp_min(1e-12).sqrt()
            scalars, vectors = refinement(
                features.scalars, features.vectors, edges, self.radial(lengths), pair, provisional, lengths[..., None]
            )
            features = update(Features(scalars, vectors, features.matrices))
            coefficients = coefficients + readout(features.vectors) * scale[:, None]
        return coefficients
