"""The network of MDtrajNet: attention over neighbours, then refinement of its own provisional trajectory."""

from __future__ import annotations

from torch import Tensor, nn

from forcefree.models.mdtrajnet_config import MDtrajNetConfig
from forcefree.models.refined_network import RefinedNetwork
from forcefree.models.segment_config import SegmentConfig
from forcefree.nn.attention import NeighbourAttention
from forcefree.nn.cartesian_update import CartesianUpdate
from forcefree.nn.features import Features


class AttentionNetwork(RefinedNetwork):
    """Vector coefficients of each atom from attention blocks and refinements that keep scalars, vectors and matrices.

    Args:
        config: Widths and depths.
        n_species: Elements that the model knows.
        cutoff: Å.
        t_max: Length of the segment in fs.
    """

    def __init__(self, config: MDtrajNetConfig, n_species: int, cutoff: float, t_max: float) -> None:
        super().__init__(config, n_species, cutoff, t_max, config.time_functions)
        self._matrix_channels = config.matrix_channels
        self.updates = nn.ModuleList(CartesianUpdate(config.channels, config.matrix_channels) for _ in range(config.refinements))

    def build_message(self, config: SegmentConfig, n_features: int, *, first: bool) -> nn.Module:
        """An attention block."""
        assert isinstance(config, MDtrajNetConfig)
        return NeighbourAttention(
            config.channels,
            config.matrix_channels,
            n_features,
            config.filter_width,
            config.heads,
            config.neighbours,
            normalised=config.normalised,
            first=first,
        )

    def embed(self, scalars: Tensor) -> Features:
        """Scalars, with vectors and matrices that are zero."""
        return Features.of_scalars(scalars, self._matrix_channels)

    def refine(self, index: int, features: tuple[Tensor, ...], *seen: object) -> Features:
        """Scalars and vectors see the provisional trajectory, then meet the matrices."""
        scalars, vectors, matrices = features
        scalars, vectors = self.refinements[index](scalars, vectors, *seen)
        updated: Features = self.updates[index](Features(scalars, vectors, matrices))
        return updated
