"""MDtrajNet: an equivariant attention forecaster of many molecules, whose every state is encoded once for all times.

After Ge, Chen and Dral, "MDtrajNet" (arXiv 2505.16301): attention over neighbours maps positions, velocities and elements
of any molecule to its future. What differs is said in the documentation; most of all, the network sees the state and not
the time, so that one pass gives a whole segment of trajectory and velocities are its analytic derivative.
"""

from __future__ import annotations

from forcefree.models.attention_network import AttentionNetwork
from forcefree.models.card import Card
from forcefree.models.mdtrajnet_config import MDtrajNetConfig
from forcefree.models.segment_forecaster import SegmentForecaster


class MDtrajNet(SegmentForecaster):
    """One frame of any molecules in, departures from free flight at any time up to ``t_max`` out.

    Args:
        card: Elements, cutoff, ``t_max`` and the architecture's options.
    """

    def __init__(self, card: Card) -> None:
        config = MDtrajNetConfig.parse(card.options, f"options of model {card.name}")
        network = AttentionNetwork(config, len(card.species), card.cutoff, card.t_max)
        super().__init__(card, network, config.time_functions)
