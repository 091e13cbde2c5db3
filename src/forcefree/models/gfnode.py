"""GF-NODE: spatial scales from a graph Fourier transform, each with dynamics of its own, at any and irregular times.

After "Graph Fourier Neural ODEs: Bridging Spatial and Temporal Multiscales in Molecular Dynamics" (arXiv 2411.01600), rebuilt
so that its symmetries are exact; what differs is listed in the documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from forcefree.graph import Neighbours, Pairs
from forcefree.models.card import Card
from forcefree.models.forecaster import Departures, Forecaster
from forcefree.models.gfnode_config import GfNodeConfig
from forcefree.models.gfnode_encoder import GfNodeEncoder
from forcefree.models.gfnode_reference import ReferenceMotion
from forcefree.nn.bond_graph import BondWeights, laplacian_of
from forcefree.nn.flight import Flight, in_company
from forcefree.nn.mode_ode import ModeFlow
from forcefree.nn.oscillators import OscillatorFlow
from forcefree.nn.path_decoder import PathDecoder
from forcefree.nn.perceptron import perceptron
from forcefree.nn.rigid import angular_velocity, turned
from forcefree.nn.spectrum import Spectrum
from forcefree.state import State

Path: TypeAlias = Callable[[Tensor], Tensor]
"""From times (n_times, n_systems) in fs to displacements (n_times, n_atoms, 3) in Å."""

_SLOWEST = 4.0  # longest period of a clock before training, in units of t_max


@dataclass(frozen=True)
class _Scene:
    """What a forecast sees of the state, in the precision of the network."""

    species: Tensor
    pairs: Pairs
    separations: Tensor
    distances: Tensor
    bonds: Tensor
    participation: Tensor


class GfNode(Forecaster):
    """One frame in, departures from free flight at any set of times out; the answer at one time does not depend on the others.

    With a reference, molecules that are it vibrate about its shape (:class:`ReferenceMotion`), and the network, if any, corrects
    their way from the second power of time on.

    Args:
        card: Elements, cutoff, ``t_max`` and the architecture's options.
    """

    lookup: Tensor
    scales: Tensor

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.config = config = GfNodeConfig.parse(card.options, f"options of model {card.name}")
        n_species, slowest = len(card.species), _SLOWEST * card.t_max
        fastest = min(config.shortest_period, 0.5 * slowest)
        self.bond_weights = BondWeights(card.cutoff)
        self.flight = Flight(n_species)
        self.reference = ReferenceMotion(config, slowest) if config.reference is not None else None
        self.flow: nn.Module | None = None
        self.turning_rate: nn.Module | None = None
        if config.network:
            self.encoder = GfNodeEncoder(config, n_species, card.cutoff)
            if config.ode == "oscillator":
                self.flow = OscillatorFlow(config.channels, fastest, slowest, shared_clock=config.shared_clock)
            elif config.ode == "learned":
                self.flow = ModeFlow(config.channels, card.t_max, config.steps, shared_clock=config.shared_clock)
            self.decoder = PathDecoder(config.channels, config.decoder_layers, fastest, slowest)
            self.log_gain = nn.Parameter(torch.zeros(n_species))
            if config.turning:
                self.turning_rate = perceptron(config.channels, config.channels, 1)
        self.register_buffer("scales", torch.full((n_species,), 0.1))
        lookup = torch.zeros(119, dtype=torch.int64)
        lookup[torch.tensor(card.species)] = torch.arange(n_species)
        self.register_buffer("lookup", lookup, persistent=False)
        self._neighbours = Neighbours(card.cutoff)

    def set_scales(self, positions: Tensor, velocities: Tensor) -> None:  # noqa: ARG002
        """Normalise the head by the root mean square departures of the training data after ``t_max``.

        Args:
            positions: Å, for each element of the card, shape (n_species,).
            velocities: Å/fs, not needed, since velocities are derivatives of positions.
        """
        self.scales.copy_(positions)

    def start_from(self, state: State) -> None:
        """Let the vibrations about the reference begin with the quasi-harmonic modes of a sample; without a reference nothing happens.

        Args:
            state: Many structures of the molecule with their velocities.

        Raises:
            ForcefreeError: If none of them is the reference.
        """
        if self.reference is not None:
            if self.card.closed:
                state = state.with_(velocities=state.velocities - state.mean_by_mass(state.velocities)[state.system])
            scene = self._scene(state)
            self.reference.start_from(state, -laplacian_of(state, scene.pairs, scene.bonds))

    def spectrum(self, state: State) -> Spectrum:
        """Modes of the bond graph of a state, as this model sees them."""
        return self._spectrum(state, self._scene(state))

    def departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        """Departures from free flight; see :meth:`Forecaster.departures`."""
        state = history[-1]
        scene = self._scene(state)
        asked, velocities = times.to(self.scales), state.velocities.to(self.scales)
        path = self._path(state, scene, velocities) if self.config.network else _standing(velocities)
        if self.reference is None:
            return Departures(*self._flown(path, asked, velocities, scene, state), scene.participation)
        vibrating, rates, whole = self.reference(state, -laplacian_of(state, scene.pairs, scene.bonds), asked)
        free = velocities * (1.0 - whole[state.system, None])
        moved, faster = self._flown(path, asked, free, scene, state)
        return Departures(moved + vibrating, faster + rates, scene.participation)

    def _flown(self, path: Path, times: Tensor, velocities: Tensor, scene: _Scene, state: State) -> tuple[Tensor, Tensor]:
        flown: tuple[Tensor, Tensor] = self.flight(path, times, velocities, scene.species, state.system, scene.participation)
        return flown

    def _path(self, state: State, scene: _Scene, velocities: Tensor) -> Path:
        """What the network says of the way of every atom, as a function of time."""
        scalars, vectors = self.encoder(scene.separations, scene.distances, scene.bonds, velocities, scene.species, scene.pairs)
        features = torch.cat([scalars[:, None], vectors], dim=1)
        spectrum = self._spectrum(state, scene)
        amplitudes = spectrum.to_modes(features)
        scale = (self.scales * self.log_gain.exp())[scene.species, None]
        arms, rotation = self._frame(state, scalars, scene.participation)

        def path(asked: Tensor) -> Tensor:
            evolved = features.expand(len(asked), -1, -1, -1)
            if self.flow is not None:
                evolved = spectrum.to_atoms(self.flow(amplitudes, spectrum, asked))
            displaced = arms + scale * self.decoder(features, evolved, asked[:, state.system])
            if rotation is not None:
                displaced = turned(displaced, rotation, asked[:, state.system, None])
            shared: Tensor = displaced * scene.participation[:, None]
            return shared

        return path

    def _scene(self, state: State) -> _Scene:
        pairs = self._neighbours(state)
        separations = pairs.vectors(state, state.positions).to(self.scales)
        distances = separations.square().sum(dim=-1).clamp_min(1e-12).sqrt()
        participation = in_company(distances, self.card.cutoff, pairs, state.n_atoms)
        bonds = self.bond_weights(distances, state.numbers, pairs)
        return _Scene(self.lookup[state.numbers], pairs, separations, distances, bonds, participation)

    def _spectrum(self, state: State, scene: _Scene) -> Spectrum:
        if not self.config.fourier:
            return Spectrum.trivial(state, self.scales)
        return Spectrum.of(state, laplacian_of(state, scene.pairs, scene.bonds), self.scales, self.config.modes)

    def _frame(self, state: State, scalars: Tensor, participation: Tensor) -> tuple[Tensor, Tensor | None]:
        """Arms about the centre of mass (n_atoms, 3) and the angular velocity of each atom's frame, if frames turn."""
        centre = state.mean_by_mass(state.positions)[state.system]
        arms = ((state.positions - centre) * state.isolated[state.system, None]).to(scalars)
        if self.turning_rate is None:
            return arms, None
        taking_part = state.sum(participation).clamp_min(1e-12)
        mean = state.sum(participation[:, None] * scalars) / taking_part[:, None]
        rate = 1.0 + self.turning_rate(mean)
        return arms, (rate * angular_velocity(state).to(scalars))[state.system]


def _standing(velocities: Tensor) -> Path:
    """Where there is no network, nothing moves."""

    def path(asked: Tensor) -> Tensor:
        return torch.zeros_like(velocities) * asked[:, :1, None]

    return path
