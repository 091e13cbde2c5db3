"""Architectures by name; a new model is one file and one line here."""

from __future__ import annotations

import importlib

from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster

ARCHITECTURES = {
    "trajcast": "forcefree.models.trajcast:TrajCast",
    "mdtrajnet": "forcefree.models.mdtrajnet:MDtrajNet",
}
"""Import paths, so that listing the models imports none of them."""


def build_model(card: Card) -> Forecaster:
    """Build an untrained model from its card.

    Raises:
        ForcefreeError: If the architecture or its options are unknown.
    """
    if card.model not in ARCHITECTURES:
        raise ForcefreeError(f"architecture '{card.model}' is unknown; this forcefree has {', '.join(ARCHITECTURES)}")
    module, _, name = ARCHITECTURES[card.model].partition(":")
    architecture: type[Forecaster] = getattr(importlib.import_module(module), name)
    return architecture(card)
