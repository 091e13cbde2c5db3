"""The primary map of ASTEROID: from the token of a frame to its delay vector, corrected by what the past has to add."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.models.asteroid_config import AsteroidConfig
from forcefree.nn.delay import DelayModes

_TRUST = 2.0  # logit of the trust in the past before training


class PrimaryMap(nn.Module):
    r"""Anchor plus gated innovation: :math:`y = a(s) + L\, g \circ b(m - e(s))`.

    The token s of a frame says where its atoms will go, a, and also where they came from, e. What was really observed of the
    past, m, differs from e by the innovation: what the frame alone did not know of its forces. The linear map L, which starts as the best
    forecast of vibrations, carries it into the future. It is bounded (b) and passes a gate g between zero and one, which sees how
    large it is and is trained on pasts that are forecasts themselves. Such a past repeats what the model would say anyway, so its
    innovation is small, and the forecast falls back to its anchor.

    Args:
        config: Widths, and whether the past counts.
        modes: Linear forecast to start from, and scale of the outputs.
        n_species: Elements that the model knows.
    """

    spread: Tensor

    def __init__(self, config: AsteroidConfig, modes: DelayModes, n_species: int) -> None:
        super().__init__()
        channels, n_modes = config.channels, modes.basis.shape[1]
        self._uses_past = config.innovation
        self.linear = nn.Parameter(modes.forecast.to(torch.get_default_dtype()).repeat(n_species, 1, 1))
        self.anchor = nn.Linear(channels, len(modes.spread), bias=False)
        self.origin = nn.Linear(channels, n_modes, bias=False)
        self.trust = nn.Linear(channels + 1, n_modes)
        for silent in (self.anchor, self.origin, self.trust):
            nn.init.zeros_(silent.weight)
        nn.init.constant_(self.trust.bias, _TRUST)
        self.register_buffer("spread", modes.spread.to(torch.get_default_dtype()), persistent=False)

    def forward(self, modes: Tensor, scalars: Tensor, vectors: Tensor, species: Tensor, voice: Tensor) -> tuple[Tensor, Tensor]:
        """Delay vectors of all rows, and the past that the tokens expect.

        Args:
            modes: Observed past, shape (n_rows, n_atoms, 3, n_modes).
            scalars: Of the tokens, shape (n_rows, n_atoms, channels).
            vectors: Of the tokens, shape (n_rows, n_atoms, 3, channels).
            species: Shape (n_atoms,).
            voice: Zero for an atom without neighbours, shape (n_rows, n_atoms).

        Returns:
            Departures in units of the atom's scale, shape (n_rows, n_atoms, 3, 2 horizon), and expected modes, shaped as ``modes``.
        """
        loud = voice[..., None, None]
        delay: Tensor = self.spread * self.anchor(vectors)
        expected: Tensor = loud * self.origin(vectors)
        if self._uses_past:
            innovation = modes - expected
            size = innovation.square().mean(dim=(2, 3))[..., None]
            trust = torch.sigmoid(self.trust(torch.cat([scalars, torch.log(size + 1e-6)], dim=-1)))
            bounded = innovation * (trust / (1.0 + size).sqrt())[..., None, :]
            delay = delay + torch.einsum("tack,akh->tach", bounded, self.linear[species])
        return loud * delay, expected
