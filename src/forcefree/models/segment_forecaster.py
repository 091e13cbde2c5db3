"""What forecasters share that encode a state once and decode any time of a segment."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from forcefree.errors import ForcefreeError
from forcefree.graph import Neighbours
from forcefree.models.card import Card
from forcefree.models.forecaster import Departures, Forecaster
from forcefree.models.refined_network import RefinedNetwork
from forcefree.nn.chebyshev import segment_basis
from forcefree.nn.frames import participation
from forcefree.nn.lattice_waves import ReciprocalLattice, check_cells
from forcefree.nn.pair_list import PairList
from forcefree.settings import duration_or_none
from forcefree.state import State

_CUTOFF_PER_SMEARING = 3.5  # beyond the cutoff less than one per cent of Coulomb's force is left for pairs


class SegmentForecaster(Forecaster):
    """One frame in, coefficients of functions of time out, departures from free flight at any time from those.

    With the option ``past`` two frames go in. Positions and velocities of both fix a cubic between them; how it would bend the path
    of an atom is what the network starts from.

    Args:
        card: Elements, cutoff, ``t_max`` and the architecture's options.
        network: Gives coefficients (n_atoms, 3, outputs) from separations, velocities, species, receivers, senders, scales
            and the number of pairs per receiver where all have the same.
        outputs: Coefficients per atom and direction.

    Raises:
        ForcefreeError: If the card's history is not that of its options.
    """

    scales: Tensor
    lookup: Tensor

    def __init__(self, card: Card, network: nn.Module, outputs: int) -> None:
        super().__init__(card)
        n_species = len(card.species)
        self.network = network
        self.log_gain = nn.Parameter(torch.zeros(n_species, outputs))
        self.register_buffer("scales", torch.full((n_species, outputs), 0.1))
        lookup = torch.zeros(119, dtype=torch.int64)
        lookup[torch.tensor(card.species)] = torch.arange(n_species)
        self.register_buffer("lookup", lookup, persistent=False)
        self._lattice = ReciprocalLattice(card.cutoff / _CUTOFF_PER_SMEARING)
        self._charged = isinstance(network, RefinedNetwork) and len(network.far) > 0
        past = duration_or_none(card.options.get("past", 0.0))
        if past and (card.history_length != 2 or card.history_spacing != past):
            raise ForcefreeError(f"model {card.name} needs a card with a history of 2 frames {past:g} fs apart")
        self._past = past > 0.0
        self._neighbours = Neighbours(card.cutoff)
        self._basis: tuple[object, tuple[Tensor, Tensor]] | None = None

    @classmethod
    def timing(cls, options: dict[str, Any], t_max: float) -> dict[str, Any]:  # noqa: ARG003 (any time can be forecast)
        """Two frames where the option ``past`` asks for an earlier one; see :meth:`Forecaster.timing`."""
        past = duration_or_none(options.get("past", 0.0))
        return {"history_length": 2, "history_spacing": past} if past else {}

    def set_scales(self, positions: Tensor, velocities: Tensor) -> None:  # noqa: ARG002 (other heads need them)
        """Normalise the head by the root mean square departures of the training data after ``t_max``.

        Args:
            positions: Å, for each element of the card, shape (n_species,).
            velocities: Å/fs, shape (n_species,).
        """
        self.scales.copy_(positions[:, None].expand_as(self.scales))

    def check_system(self, state: State) -> None:
        """Refuse also systems without a cell where charges act through one; see :meth:`Forecaster.check_system`."""
        super().check_system(state)
        if self._charged:
            check_cells(state)

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
        more: dict[str, Any] = {"waves": self._lattice(state, precision)} if self._charged else {}
        among = participation(separations.norm(dim=-1), pairs.receiver, state.n_atoms, pairs.degree, self.card.cutoff)
        if self._past:
            more["bend"] = bend(history[-2], state, self.card.t_max).to(precision) * among[:, None, None]
        listed = PairList(separations, pairs.receiver, pairs.sender, pairs.degree)
        coefficients = self.network(listed, state.velocities.to(precision), species, scale, **more)
        positions, velocities = self.decode(coefficients, times, state)
        return Departures(positions, velocities, among)

    def decode(self, coefficients: Tensor, times: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Departures of positions (Å) and, by the analytic derivative, of velocities (Å/fs).

        Args:
            coefficients: Å, shape (n_atoms, 3, outputs).
            times: fs, shape (n_times, n_systems).
            state: Whose systems are meant.

        Returns:
            Each of shape (n_times, n_atoms, 3).
        """
        precision = coefficients.dtype
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


def bend(before: State, state: State, time: float) -> Tensor:
    r"""How far the cubic through two frames would carry each atom from free flight.

    With :math:`h` between the frames and :math:`\Delta x` moved meanwhile, :math:`a = (4 v + 2 v_{-h}) / h - 6 \Delta x / h^2` is the
    acceleration at the later frame and :math:`j = 6 (v + v_{-h}) / h^2 - 12 \Delta x / h^3` how fast it changes.

    Args:
        before: The earlier frame.
        state: The later one.
        time: fs after it.

    Returns:
        Å, :math:`a t^2 / 2` and :math:`j t^3 / 6`, float64, shape (n_atoms, 3, 2).
    """
    apart = (state.time - before.time)[state.system, None]
    moved = state.positions - before.positions
    acceleration = (4.0 * state.velocities + 2.0 * before.velocities) / apart - 6.0 * moved / apart**2
    change = 6.0 * (state.velocities + before.velocities) / apart**2 - 12.0 * moved / apart**3
    return torch.stack([acceleration * (time**2 / 2.0), change * (time**3 / 6.0)], dim=-1)
