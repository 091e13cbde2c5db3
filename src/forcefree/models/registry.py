"""Architectures by name; a new model is one file and one line here."""

from __future__ import annotations

import importlib

from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.energy_head import EnergyHead
from forcefree.models.forecaster import Forecaster

ARCHITECTURES = {
    "trajcast": "forcefree.models.trajcast:TrajCast",
    "gfnode": "forcefree.models.gfnode:GfNode",
    "egnn": "forcefree.models.egnn:Egnn",
    "asteroid": "forcefree.models.asteroid:Asteroid",
    "mdtrajnet": "forcefree.models.mdtrajnet:MDtrajNet",
}
"""Import paths, so that listing the models imports none of them."""


def build_model(card: Card) -> Forecaster:
    """Build an untrained model from its card, with an energy head where the card has one.

    Raises:
        ForcefreeError: If the architecture or its options are unknown.
    """
    model = find_architecture(card.model)(card)
    if card.energy is not None:
        model.energy = EnergyHead(card.energy, card.species, card.cutoff)
    return model


def find_architecture(name: str) -> type[Forecaster]:
    """The class of an architecture.

    Raises:
        ForcefreeError: If there is none of that name.
    """
    if name not in ARCHITECTURES:
        raise ForcefreeError(f"architecture '{name}' is unknown; this forcefree has {', '.join(ARCHITECTURES)}")
    module, _, attribute = ARCHITECTURES[name].partition(":")
    architecture: type[Forecaster] = getattr(importlib.import_module(module), attribute)
    return architecture
