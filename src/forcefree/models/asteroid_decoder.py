"""Decoder of ASTEROID: the forecast of the primary map corrected frame by frame, each from the frames before it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forcefree.graph import Pairs
from forcefree.models.asteroid_config import AsteroidConfig
from forcefree.nn.frames import FramePairs
from forcefree.nn.padding import Padding
from forcefree.nn.spatial_attention import SpatialAttention, Surroundings, updated
from forcefree.nn.temporal_attention import TemporalAttention
from forcefree.nn.update import GatedUpdate

_FURTHEST = 3.0  # no correction of one frame is longer, in units of the typical departure; keeps the recurrence stable


@dataclass(frozen=True)
class Present:
    """The last observed frame, from which a forecast flies on.

    Attributes:
        separations: Of its pairs, Å, shape (n_pairs, 3).
        velocities: Relative velocities of its pairs, Å/fs, shape (n_pairs, 3).
        pairs: Its pairs.
        species: Index of each atom's element, shape (n_atoms,).
        scale: Å, unit of the departures of each atom, shape (n_atoms, 1, 1).
        voice: Zero for an atom without neighbours, shape (n_atoms,).
        closeness: Of every two atoms, shape (1, n_systems, largest, largest); None without global attention.
        padding: Seats of the atoms.
    """

    separations: Tensor
    velocities: Tensor
    pairs: Pairs
    species: Tensor
    scale: Tensor
    voice: Tensor
    closeness: Tensor | None
    padding: Padding


class Decoder(nn.Module):
    """One token per future frame: it sees the frame that is about to be forecast, the corrections so far and the window.

    Args:
        config: Widths.
        horizon: Frames to forecast.
        n_features: Invariant features of a pair.
        spread: Typical departures, dimensionless, shape (2 horizon,).
    """

    spread: Tensor

    def __init__(self, config: AsteroidConfig, horizon: int, n_features: int, spread: Tensor) -> None:
        super().__init__()
        channels = config.channels
        self._horizon, self._spacing = horizon, config.spacing
        self.step = nn.Embedding(horizon, channels)
        self.carry = nn.Linear(4, channels, bias=False)
        self.spatial = SpatialAttention(
            channels, n_features, config.filter_width, config.heads, use_local=config.local_attention, use_global=config.global_attention
        )
        self.own = TemporalAttention(channels, config.heads, horizon)
        self.cross = TemporalAttention(channels, config.heads, config.window + horizon)
        self.update = GatedUpdate(channels)
        self.readout = nn.Linear(channels, 2, bias=False)
        nn.init.zeros_(self.readout.weight)
        self.register_buffer("spread", spread.to(torch.get_default_dtype()), persistent=False)

    def forward(self, scalars: Tensor, vectors: Tensor, proposal: Tensor, present: Present, frames: FramePairs) -> Tensor:
        """The corrected forecast.

        Args:
            scalars: Tokens of the window, shape (n_rows, n_atoms, channels).
            vectors: Shape (n_rows, n_atoms, 3, channels).
            proposal: Of the primary map, in units of the atom's scale, shape (n_atoms, 3, 2 horizon).
            present: The last observed frame.
            frames: Features of pairs.

        Returns:
            Departures in units of the atom's scale, shape (n_atoms, 3, 2 horizon).
        """
        window = self.cross.remember(scalars, vectors)
        carried = torch.zeros_like(proposal[..., :2])
        memory: list[tuple[Tensor, Tensor]] = []
        corrected = []
        for step in range(self._horizon):
            carried = torch.stack([carried[..., 0] + carried[..., 1], carried[..., 1]], dim=-1)
            ahead = proposal[..., step :: self._horizon]
            spread = self.spread[step :: self._horizon]
            around = self._around(step, ahead + carried, present, frames)
            token = self.spatial(
                scalars[-1:] + self.step.weight[step],
                vectors[-1:] + self.carry(torch.cat([carried / spread, ahead / spread], dim=-1))[None],
                around,
            )
            memory.append(self.own.remember(*token))
            change = self._correction(token, memory, window)
            carried = carried + present.voice[:, None, None] * spread * change
            corrected.append(ahead + carried)
        return torch.stack(corrected, dim=-1).flatten(-2)

    def _correction(self, token: tuple[Tensor, Tensor], memory: list[tuple[Tensor, Tensor]], window: tuple[Tensor, Tensor]) -> Tensor:
        """Correction of the last token's frame in units of the spread, bounded in length, shape (n_atoms, 3, 2)."""
        scalars, vectors = token
        past = (torch.cat([keys for keys, _ in memory]), torch.cat([values for _, values in memory]))
        steps = torch.arange(len(memory), device=scalars.device)
        rows = torch.arange(len(window[0]), device=scalars.device)
        heard, pulled = self.own(scalars, past, steps[-1:], steps)
        seen, drawn = self.cross(scalars, window, steps[-1:] + len(rows), rows)
        _, moved = updated(self.update, scalars + heard + seen, vectors + pulled + drawn)
        change: Tensor = self.readout(moved)[0]
        return change / (1.0 + change.square().sum(dim=1, keepdim=True) / _FURTHEST**2).sqrt()

    def _around(self, step: int, departures: Tensor, present: Present, frames: FramePairs) -> Surroundings:
        """Pairs of the frame that is about to be forecast, where the forecast so far has the atoms."""
        elapsed = (step + 1) * self._spacing
        moved, faster = (present.scale * departures).unbind(dim=-1)
        receiver, sender = present.pairs.receiver, present.pairs.sender
        separations = present.separations + elapsed * present.velocities + moved[sender] - moved[receiver]
        velocities = present.velocities + (faster[sender] - faster[receiver]) / self._spacing
        listed = present.separations.norm(dim=-1)
        edges = frames(separations[None], velocities[None], present.pairs, present.species, listed)
        return Surroundings(edges, present.closeness, present.voice[None], present.padding)
