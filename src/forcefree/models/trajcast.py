"""TrajCast: an equivariant message-passing forecaster of one interval, used again and again.

After Thiemann et al., "Force-free molecular dynamics through autoregressive equivariant networks" (arXiv 2503.23794),
with what this package adds: departures from free flight instead of absolute displacements, relative velocities instead
of absolute ones, any time inside the interval, and refinement of the provisional trajectory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from forcefree.graph import Neighbours
from forcefree.models.card import Card
from forcefree.models.forecaster import Departures, Forecaster
from forcefree.models.refined_network import RefinedNetwork
from forcefree.models.trajcast_config import TrajCastConfig
from forcefree.nn.chebyshev import segment_basis
from forcefree.nn.frames import participation
from forcefree.state import State


class TrajCast(Forecaster):
    """One frame in, departures from free flight at any time of the interval out.

    Args:
        card: Elements, cutoff, ``t_max`` and the architecture's options.
    """

    scales: Tensor
    lookup: Tensor

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.config = TrajCastConfig.parse(card.options, f"options of model {card.name}")
        outputs = self.config.time_functions if self.config.head == "continuous" else 2
        n_species = len(card.species)
        self.network: nn.Module = build_network(self.config, n_species, card.cutoff, card.t_max, outputs)
        self.log_gain = nn.Parameter(torch.zeros(n_species, outputs))
        self.register_buffer("scales", torch.full((n_species, outputs), 0.1))
        lookup = torch.zeros(119, dtype=torch.int64)
        lookup[torch.tensor(card.species)] = torch.arange(n_species)
        self.register_buffer("lookup", lookup, persistent=False)
        self._neighbours = Neighbours(card.cutoff)
        self._basis: tuple[object, tuple[Tensor, Tensor]] | None = None

    @classmethod
    def timing(cls, options: dict[str, Any], t_max: float) -> dict[str, Any]:
        """The fixed head has one time only; see :meth:`Forecaster.timing`."""
        return {"fixed_times": [t_max]} if options.get("head") == "fixed" else {}

    def set_scales(self, positions: Tensor, velocities: Tensor) -> None:
        """Normalise the heads by the root mean square departures of the training data after ``t_max``.

        Args:
            positions: Å, for each element of the card, shape (n_species,).
            velocities: Å/fs, shape (n_species,).
        """
        if self.config.head == "continuous":
            self.scales.copy_(positions[:, None].expand_as(self.scales))
        else:
            self.scales.copy_(torch.stack([positions, velocities], dim=1))

    def tabulate(self) -> None:
        """Read radial filters from tables, where the network has some that depend on distances alone."""
        if isinstance(self.network, RefinedNetwork):
            self.network.tabulate()

    def departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        """Departures from free flight; see :meth:`Forecaster.departures`."""
        state = history[-1]
        precision = self.log_gain.dtype
        pairs = self._neighbours(state)
        separations = pairs.vectors(state, state.positions).to(precision)
        species = self.lookup[state.numbers]
        scale = self.scales[species] * self.log_gain.exp()[species]
        coefficients = self.network(separations, state.velocities.to(precision), species, pairs.receiver, pairs.sender, scale, pairs.degree)
        positions, velocities = self._decode(coefficients, times, state)
        among = participation(separations.norm(dim=-1), pairs.receiver, state.n_atoms, pairs.degree, self.card.cutoff)
        return Departures(positions, velocities, among)

    def _decode(self, coefficients: Tensor, times: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Departures at ``times`` (n_times, n_systems) in fs from coefficients (n_atoms, 3, outputs)."""
        precision = coefficients.dtype
        if self.config.head == "fixed":
            arrived = (times > 0.0)[:, state.system, None].to(precision)
            return arrived * coefficients[..., 0], arrived * coefficients[..., 1]
        if times.stride(1) == 0 or times.shape[1] == 1:
            values, slopes = self._shared_basis(times[:, 0], coefficients.shape[-1])
            rows = "tk,nak->tna"
        else:
            values, slopes = (each[:, state.system] for each in segment_basis(times, coefficients.shape[-1], self.card.t_max))
            rows = "tnk,nak->tna"
        return torch.einsum(rows, values.to(precision), coefficients), torch.einsum(rows, slopes.to(precision), coefficients)

    def _shared_basis(self, times: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The basis at times that all systems share, kept until other times are asked for."""
        if torch.compiler.is_compiling():
            return segment_basis(times, count, self.card.t_max)
        key = (tuple(times.tolist()), times.device, torch.is_inference_mode_enabled())
        if self._basis is None or self._basis[0] != key:
            self._basis = (key, segment_basis(times, count, self.card.t_max))
        return self._basis[1]


def build_network(config: TrajCastConfig, n_species: int, cutoff: float, t_max: float, outputs: int) -> nn.Module:
    """The network of a preset; both take and return the same tensors."""
    if config.preset == "paper":
        from forcefree.models.tensor_network import TensorNetwork

        return TensorNetwork(config, n_species, cutoff, outputs)
    return RefinedNetwork(config, n_species, cutoff, t_max, outputs)
