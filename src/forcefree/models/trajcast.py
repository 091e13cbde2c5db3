"""TrajCast: an equivariant message-passing forecaster of one interval, used again and again.

After Thiemann et al., "Force-free molecular dynamics through autoregressive equivariant networks" (arXiv 2503.23794),
with what this package adds: departures from free flight instead of absolute displacements, relative velocities instead
of absolute ones, any time inside the interval, and refinement of the provisional trajectory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from forcefree.models.card import Card
from forcefree.models.refined_network import RefinedNetwork
from forcefree.models.segment_forecaster import SegmentForecaster
from forcefree.models.trajcast_config import TrajCastConfig
from forcefree.state import State


class TrajCast(SegmentForecaster):
    """One frame in, departures from free flight at any time of the interval out.

    Args:
        card: Elements, cutoff, ``t_max`` and the architecture's options.
    """

    def __init__(self, card: Card) -> None:
        config = TrajCastConfig.parse(card.options, f"options of model {card.name}")
        outputs = config.time_functions if config.head == "continuous" else 2
        super().__init__(card, build_network(config, len(card.species), card.cutoff, card.t_max, outputs), outputs)
        self._fixed = config.head == "fixed"

    @classmethod
    def timing(cls, options: dict[str, Any], t_max: float) -> dict[str, Any]:
        """The fixed head has one time only; see :meth:`Forecaster.timing`."""
        return {"fixed_times": [t_max]} if options.get("head") == "fixed" else super().timing(options, t_max)

    def set_scales(self, positions: Tensor, velocities: Tensor) -> None:
        """Normalise the heads; see :meth:`SegmentForecaster.set_scales`. The fixed head has one for velocities too."""
        if self._fixed:
            self.scales.copy_(torch.stack([positions, velocities], dim=1))
        else:
            super().set_scales(positions, velocities)

    def decode(self, coefficients: Tensor, times: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Departures at the times asked for; the fixed head has them at ``t_max`` alone."""
        if not self._fixed:
            return super().decode(coefficients, times, state)
        arrived = (times > 0.0)[:, state.system, None].to(coefficients.dtype)
        return arrived * coefficients[..., 0], arrived * coefficients[..., 1]


def build_network(config: TrajCastConfig, n_species: int, cutoff: float, t_max: float, outputs: int) -> nn.Module:
    """The network of a preset; both take and return the same tensors."""
    if config.preset == "paper":
        from forcefree.models.tensor_network import TensorNetwork

        return TensorNetwork(config, n_species, cutoff, outputs)
    return RefinedNetwork(config, n_species, cutoff, t_max, outputs)
