"""The spatiotemporal-information terms of ASTEROID's loss: known entries, anti-diagonals, and the conjugate map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.models.asteroid_config import AsteroidConfig
from forcefree.nn.delay import departures_from
from forcefree.nn.hankel import inconsistency
from forcefree.nn.update import GatedUpdate


class ConjugateMap(nn.Module):
    """From the delay vector of an atom's future back to the coordinates of its past.

    Args:
        n_species: Elements that the model knows.
        channels: Width.
        n_future: Length of a delay vector.
        n_modes: Coordinates of the past.
    """

    def __init__(self, n_species: int, channels: int, n_future: int, n_modes: int) -> None:
        super().__init__()
        self.element = nn.Embedding(n_species, channels)
        self.into = nn.Linear(n_future, channels, bias=False)
        self.update = GatedUpdate(channels)
        self.out = nn.Linear(channels, n_modes, bias=False)

    def forward(self, future: Tensor, species: Tensor) -> Tensor:
        """Coordinates of the past (n_atoms, 3, n_modes) from departures over their spread (n_atoms, 3, n_future)."""
        _, vectors = self.update(self.element(species), self.into(future))
        past: Tensor = self.out(vectors)
        return past


def sti_penalty(
    config: AsteroidConfig,
    window: tuple[Tensor, Tensor],
    delay: Tensor,
    forecast: Tensor,
    *,
    scale: Tensor,
    spread: Tensor,
    past: Tensor,
    recovered: tuple[Tensor, Tensor],
) -> Tensor:
    """Weighted sum of the three terms; none of them needs the true future.

    Args:
        config: Weights, spacing and lags.
        window: Positions (Å) and velocities (Å/fs), each of shape (n_frames, n_atoms, 3).
        delay: Delay vectors of the rows in units of the atom's scale, shape (n_rows, n_atoms, 3, 2 horizon).
        forecast: Final forecast in the same units, shape (n_atoms, 3, 2 horizon).
        scale: Å, shape (n_atoms, 1, 1).
        spread: Typical departures, shape (2 horizon,).
        past: Coordinates of the past of every row, shape (n_rows, n_atoms, 3, n_modes).
        recovered: The same from the conjugate map, and as the tokens expect it.

    Returns:
        A dimensionless scalar.
    """
    frames, horizon = len(window[0]), delay.shape[-1] // 2
    rows = torch.arange(config.lags, frames, device=delay.device)
    steps = torch.arange(1, horizon + 1, device=delay.device)
    seen = (rows[:, None] + steps < frames).repeat(1, 2)[:, None, None].expand_as(delay)
    truth = departures_from(*window, steps, rows, config.spacing).to(delay) / scale
    known = (((delay - truth) / spread)[seen]).square().mean() if bool(seen.any()) else delay.new_zeros(())
    known = known + (recovered[1] - past).square().mean()
    total = config.known_weight * known + config.conjugate_weight * (recovered[0] - past).square().mean()
    if len(rows) > 1:
        final = torch.cat([delay[:-1], forecast.detach()[None]])
        total = total + config.consistency_weight * inconsistency(_from_last(window, final, rows, scale, config.spacing), len(rows))
    return total


def _from_last(window: tuple[Tensor, Tensor], delay: Tensor, rows: Tensor, scale: Tensor, spacing: float) -> Tensor:
    """Hankel matrix of departures from the free flight of the last frame, shape (n_rows, 1 + horizon, n_atoms, 3, 2)."""
    positions, velocities = window
    horizon = delay.shape[-1] // 2
    ahead = torch.arange(horizon + 1, device=delay.device)
    since = (rows[:, None] + ahead - (len(positions) - 1))[..., None, None] * spacing
    flown = positions[rows][:, None] + velocities[rows][:, None] * (spacing * ahead).to(positions)[:, None, None]
    shift = flown - positions[-1] - velocities[-1] * since.to(positions)
    turn = (spacing * (velocities[rows] - velocities[-1]))[:, None].expand_as(shift)
    own = nn.functional.pad(delay.reshape(*delay.shape[:-1], 2, horizon), (1, 0)).movedim(-1, 1)
    return torch.stack([shift, turn], dim=-1).to(delay) / scale + own
