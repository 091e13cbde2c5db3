"""ASTEROID: the next frames at once from a window of past frames.

Named after Wu, Chen and Wang, "ASTEROID" (arXiv 2606.17668), of which the abstract is public: a Transformer with local and global spatial
attention, temporal encoder and autoregressive decoder, with the spatiotemporal-information (STI) equation built in. Everything
below that sentence is a reconstruction of ours; the documentation says which part is which.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.graph import Neighbours, Pairs
from forcefree.models.asteroid_config import AsteroidConfig
from forcefree.models.asteroid_decoder import Decoder, Present
from forcefree.models.asteroid_encoder import Encoder
from forcefree.models.asteroid_primary import PrimaryMap
from forcefree.models.asteroid_terms import ConjugateMap, sti_penalty
from forcefree.models.card import Card
from forcefree.models.forecaster import Departures, Forecaster
from forcefree.nn.delay import DelayModes, departures_from
from forcefree.nn.frames import FramePairs, participation
from forcefree.nn.global_attention import closeness
from forcefree.nn.padding import Padding
from forcefree.nn.spatial_attention import Surroundings
from forcefree.nn.velocity_message import EdgeFeatures
from forcefree.state import State


class Asteroid(Forecaster):
    """A window of frames in, the next frames out.

    Every frame of the window is seen from itself: its pairs of atoms, and how the recent past of its atoms departs from the
    free flight that ends in it. Nothing absolute enters, so that the forecast turns and moves with the window. The last frame
    alone anchors the forecast; the past corrects it.

    Args:
        card: Elements, cutoff, history, fixed times and the architecture's options.

    Raises:
        ForcefreeError: If the options are wrong, or history or times of the card are not those of the options.
    """

    scales: Tensor
    lookup: Tensor
    basis: Tensor

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.config = AsteroidConfig.parse(card.options, f"options of model {card.name}")
        timing = self.timing(card.options, card.t_max)
        if any(getattr(card, key) != value for key, value in timing.items()):
            raise ForcefreeError(
                f"model {card.name} needs a card with a history of {self.config.window} frames {self.config.spacing:g} fs apart and fixed times "
                f"at the multiples of that up to {card.t_max:g} fs"
            )
        config, n_species, self.horizon = self.config, len(card.species), len(timing["fixed_times"])
        modes = DelayModes.of(config.lags, self.horizon, config.spacing, config.noise)
        self.frames = FramePairs(config.radial_functions, n_species, card.cutoff)
        self.encoder = Encoder(config, n_species, self.frames.n_features)
        self.primary = PrimaryMap(config, modes, n_species)
        self.decoder = Decoder(config, self.horizon, self.frames.n_features, modes.spread) if config.autoregressive else None
        self.conjugate = (
            ConjugateMap(n_species, config.channels, len(modes.spread), modes.basis.shape[1]) if config.conjugate_weight else None
        )
        self.register_buffer("scales", torch.full((n_species,), 0.1))
        lookup = torch.zeros(119, dtype=torch.int64)
        lookup[torch.tensor(card.species)] = torch.arange(n_species)
        self.register_buffer("lookup", lookup, persistent=False)
        self.register_buffer("basis", modes.basis, persistent=False)
        self._neighbours = Neighbours(card.cutoff)

    @classmethod
    def timing(cls, options: dict[str, Any], t_max: float) -> dict[str, Any]:
        """A window, and forecasts at multiples of its spacing; see :meth:`Forecaster.timing`."""
        config = AsteroidConfig.parse(options, "options of ASTEROID")
        horizon = round(t_max / config.spacing)
        if horizon < 1 or abs(horizon * config.spacing - t_max) > 1e-6 * t_max:
            raise ForcefreeError(f"t_max must be a multiple of the spacing of {config.spacing:g} fs, not {t_max:g} fs")
        times = [config.spacing * step for step in range(1, horizon + 1)]
        return {"history_length": config.window, "history_spacing": config.spacing, "fixed_times": times}

    def set_scales(self, positions: Tensor, velocities: Tensor) -> None:  # noqa: ARG002 (velocities follow from the modes)
        """Take the root mean square displacement (Å) from free flight after ``t_max`` of each element, shape (n_species,)."""
        self.scales.copy_(positions)

    def departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        """Departures from free flight; see :meth:`Forecaster.departures`."""
        last, config = history[-1], self.config
        precision = self.primary.linear.dtype
        species = self.lookup[last.numbers]
        scale = self.scales[species][:, None, None]
        window = (torch.stack([s.positions for s in history]), torch.stack([s.velocities for s in history]))
        rows = torch.arange(config.lags, len(history), device=scale.device)
        modes = self.modes(window, scale)
        pairs = self._neighbours(last, 2.0 * float((window[0] - last.positions).detach().norm(dim=-1).max()))
        around, separations, velocities = self._surroundings(window, rows, pairs, species, last, precision)
        scalars, vectors = self.encoder(len(rows), species, around)
        delay, expected = self.primary(modes, scalars, vectors, species, around.voice)
        forecast: Tensor = delay[-1]
        if self.decoder is not None:
            near = None if around.closeness is None else around.closeness[-1:]
            present = Present(separations[-1], velocities[-1], pairs, species, scale, around.voice[-1], near, around.padding)
            forecast = self.decoder(scalars, vectors, forecast, present, self.frames)
        penalty = None
        if self.training and config.uses_sti:
            recovered = modes if self.conjugate is None else self._recovered(delay, species)
            penalty = sti_penalty(
                config, window, delay, forecast, scale=scale, spread=self.primary.spread, past=modes, recovered=(recovered, expected)
            )
        return Departures(*self._at(scale * forecast, times, last), around.voice[-1], penalty)

    def modes(self, window: tuple[Tensor, Tensor], scale: Tensor) -> Tensor:
        """Coordinates of the past of every atom at every row.

        Args:
            window: Positions (Å) and velocities (Å/fs), each of shape (n_frames, n_atoms, 3).
            scale: Å, shape (n_atoms, 1, 1).

        Returns:
            Dimensionless, shape (n_frames - lags, n_atoms, 3, n_modes).
        """
        rows = torch.arange(self.config.lags, len(window[0]), device=scale.device)
        back = -torch.arange(1, self.config.lags + 1, device=scale.device)
        past = departures_from(*window, back, rows, self.config.spacing)
        return (past @ self.basis.to(past)).to(self.primary.linear.dtype) / scale

    def _surroundings(
        self, window: tuple[Tensor, Tensor], rows: Tensor, pairs: Pairs, species: Tensor, last: State, precision: torch.dtype
    ) -> tuple[Surroundings, Tensor, Tensor]:
        """What a spatial layer knows of the rows, with separations and relative velocities of their pairs, (n_rows, n_pairs, 3)."""
        positions, velocities = window[0][rows], window[1][rows]
        separations = torch.stack([pairs.vectors(last, frame) for frame in positions]).to(precision)
        relative = (velocities[:, pairs.sender] - velocities[:, pairs.receiver]).to(precision)
        edges: EdgeFeatures = self.frames(separations, relative, pairs, species)
        distances = separations.flatten(0, 1).norm(dim=-1)
        voice = participation(distances, edges.receiver, len(rows) * last.n_atoms, edges.degree, self.card.cutoff)
        padding = Padding.of(last)
        near = closeness(last, positions, padding).to(precision) if self.config.global_attention else None
        return Surroundings(edges, near, voice.view(len(rows), last.n_atoms), padding), separations, relative

    def _recovered(self, delay: Tensor, species: Tensor) -> Tensor:
        assert self.conjugate is not None
        recovered: Tensor = self.conjugate((delay / self.primary.spread).flatten(0, 1), species.repeat(len(delay)))
        return recovered.view(*delay.shape[:3], -1)

    def _at(self, departures: Tensor, times: Tensor, last: State) -> tuple[Tensor, Tensor]:
        """Displacements (Å) and velocities (Å/fs) at ``times`` (n_times, n_systems) from departures (n_atoms, 3, 2 horizon) in Å."""
        step = torch.round(times / self.config.spacing).to(torch.int64).clamp(0, self.horizon)[:, last.system]
        table = torch.nn.functional.pad(departures.reshape(*departures.shape[:2], 2, self.horizon), (1, 0))
        atoms = torch.arange(last.n_atoms, device=step.device)
        chosen = table.permute(3, 0, 1, 2)[step, atoms]
        return chosen[..., 0], chosen[..., 1] / self.config.spacing
