"""EGNN and EGNO, the published baselines of the MD17 protocol, under the contract of every other model."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from forcefree.graph import Neighbours
from forcefree.models.card import Card
from forcefree.models.forecaster import Departures, Forecaster
from forcefree.nn.egnn_layer import EgnnLayer
from forcefree.nn.flight import Flight, in_company
from forcefree.nn.temporal_convolution import TemporalConvolution
from forcefree.nn.time_features import TimeFeatures
from forcefree.settings import Duration, Settings
from forcefree.state import State

_SPEED = 0.01  # Å/fs, brings thermal speeds to order one
_START = 30.0  # fs, over which the network takes over from free flight, so that also EGNO starts where it must


class EgnnConfig(Settings):
    """Widths and depths of EGNN, and of EGNO where temporal modes are asked for."""

    channels: int = Field(default=64, ge=2)
    """Scalars per atom."""

    layers: int = Field(default=5, ge=1)
    """Equivariant layers."""

    temporal_modes: int = Field(default=0, ge=0)
    """Fourier modes along the requested times that every layer mixes, which makes it EGNO; 0 is EGNN."""

    neighbours: float = Field(default=8.0, gt=0.0)
    """Typical number of neighbours, a constant that normalises sums."""

    shortest_period: Duration = 20.0
    """Shortest period of the time features in fs."""


class Egnn(Forecaster):
    """Positions and scalars move from layer to layer, at every requested time for itself, or mixed over the times (EGNO).

    EGNN: Satorras, Hoogeboom and Welling, ICML 2021, with velocities. EGNO: Xu et al., ICML 2024. Here both return
    departures that vanish at t = 0, as the contract asks. With temporal modes an answer depends on the other times that are
    asked for, which is EGNO's design.

    Args:
        card: Elements, cutoff, ``t_max`` and the architecture's options.
    """

    lookup: Tensor

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.config = config = EgnnConfig.parse(card.options, f"options of model {card.name}")
        n_species = len(card.species)
        self.element = nn.Embedding(n_species, config.channels)
        self.speed = nn.Linear(1, config.channels)
        self.time_features = TimeFeatures(config.shortest_period, 4.0 * card.t_max)
        self.time = nn.Linear(TimeFeatures.count, config.channels)
        self.layers = nn.ModuleList(EgnnLayer(config.channels, card.cutoff, config.neighbours) for _ in range(config.layers))
        modes = config.temporal_modes
        self.convolutions = nn.ModuleList(TemporalConvolution(config.channels, modes) for _ in range(config.layers if modes else 0))
        self.flight = Flight(n_species)
        lookup = torch.zeros(119, dtype=torch.int64)
        lookup[torch.tensor(card.species)] = torch.arange(n_species)
        self.register_buffer("lookup", lookup, persistent=False)
        self._neighbours = Neighbours(card.cutoff)

    def departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        """Departures from free flight; see :meth:`Forecaster.departures`."""
        state = history[-1]
        pairs = self._neighbours(state)
        separations = pairs.vectors(state, state.positions).to(self.speed.weight)
        velocities = state.velocities.to(separations) / _SPEED
        species = self.lookup[state.numbers]
        initial = self.element(species) + self.speed(velocities.square().sum(dim=-1, keepdim=True))
        distances = separations.square().sum(dim=-1).clamp_min(1e-12).sqrt()
        participation = in_company(distances, self.card.cutoff, pairs, state.n_atoms)

        def path(asked: Tensor) -> Tensor:
            scalars = initial + self.time(self.time_features(asked[:, state.system]))
            moved = torch.zeros(len(asked), *velocities.shape, dtype=scalars.dtype, device=scalars.device)
            flow = velocities.expand_as(moved)
            for index, layer in enumerate(self.layers):
                if self.convolutions:
                    scalars, moved, flow = self.convolutions[index](scalars, moved, flow)
                scalars, moved = layer(scalars, moved, flow, separations, distances, pairs)
            begun = -torch.expm1(-0.5 * (asked[:, state.system, None] / _START).square())
            return begun * moved * participation[:, None]

        asked = times.to(separations)
        displaced, faster = self.flight(path, asked, velocities * _SPEED, species, state.system, participation, resting=True)
        return Departures(displaced, faster, participation)
