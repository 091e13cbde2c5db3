"""Networks that refine their own provisional trajectory, and the ``fast`` one of TrajCast: velocity-conditioned messages."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn

from forcefree.graph import at_atoms
from forcefree.models.segment_config import SegmentConfig
from forcefree.nn.bases import GaussianBasis, envelope
from forcefree.nn.chebyshev import segment_basis, segment_nodes
from forcefree.nn.even_pairs import even_pairs
from forcefree.nn.far_charges import FarCharges
from forcefree.nn.filter_table import FilterTable
from forcefree.nn.lattice_waves import FarField
from forcefree.nn.pair_blocks import PairBlock
from forcefree.nn.pair_list import PairList
from forcefree.nn.past_bend import PastBend
from forcefree.nn.refinement import Look, TrajectoryRefinement
from forcefree.nn.velocity_message import EdgeFeatures, VelocityMessage, relative_motion

_PAIR_WIDTH = 16
_MOTION_SCALE = 3.0  # brings relative velocities (Å per 10 fs) and their squares to order one


class RefinedNetwork(nn.Module):
    """Vector coefficients of each atom from one pass over elements, separations and relative velocities.

    Args:
        config: Widths and depths.
        n_species: Elements that the model knows.
        cutoff: Å.
        t_max: Length of the segment in fs.
        outputs: Vectors per atom.
    """

    node_times: Tensor
    node_basis: Tensor

    def __init__(self, config: SegmentConfig, n_species: int, cutoff: float, t_max: float, outputs: int) -> None:
        super().__init__()
        self._n_species, self._cutoff, self._t_max = n_species, cutoff, t_max
        channels = config.channels
        self.radial = GaussianBasis(config.radial_functions, 0.6, cutoff)
        self.element = nn.Embedding(n_species, channels)
        self.pair = nn.Embedding(n_species * n_species, _PAIR_WIDTH)
        width = config.radial_functions + _PAIR_WIDTH + 3
        first = 0 if config.past == 0.0 else -1  # no block but the first meets vectors that are zero
        self.messages = nn.ModuleList(self.build_message(config, width, first=index == first) for index in range(config.layers))
        self.refinements = nn.ModuleList(
            TrajectoryRefinement(
                channels, config.radial_functions, _PAIR_WIDTH, config.refinement_width, config.nodes, cutoff, config.neighbours
            )
            for _ in range(config.refinements)
        )
        self.readouts = nn.ModuleList(nn.Linear(channels, outputs, bias=False) for _ in range(1 + config.refinements))
        self.far = nn.ModuleList(
            FarCharges(channels, config.charges, config.nodes if index else 1) for index in range(1 + config.refinements) if config.charges
        )
        for readout in list(self.readouts)[0 if config.past else 1 :]:
            for parameter in readout.parameters():
                nn.init.zeros_(parameter)
        self.past = PastBend(n_species, channels) if config.past else None
        times = segment_nodes(config.nodes, t_max)
        basis, _ = segment_basis(times, outputs, t_max)
        self.register_buffer("node_times", times.to(torch.get_default_dtype()), persistent=False)
        self.register_buffer("node_basis", basis.to(torch.get_default_dtype()), persistent=False)
        self.tables: nn.ModuleList | None = None

    def tabulate(self) -> None:
        """Read the radial filters of the refinements from tables from now on, until training changes them."""
        with torch.no_grad():
            exact = copy.deepcopy(self).double().cpu()
            self.tables = nn.ModuleList(
                FilterTable(partial(exact._curve, index), self._n_species**2, self._cutoff) for index in range(len(self.refinements))
            ).to(self.node_basis.device, self.node_basis.dtype)

    def _curve(self, refinement: int, kind: int, lengths: Tensor) -> Tensor:
        """The filter of a refinement for one kind of pair, as a function of distances."""
        return self._refinement(refinement).filters(self.radial(lengths), self.pair.weight[kind])

    def _filters(self, refinement: int, kind: Tensor, pair: Tensor, lengths: Tensor) -> Tensor:
        """Filters of a refinement at provisional distances, shape (n_nodes, n_pairs, hidden)."""
        if self.tables is not None:
            read: Tensor = self.tables[refinement](kind, lengths)
            return read
        return self._refinement(refinement).filters(self.radial(lengths), pair)

    def _refinement(self, index: int) -> TrajectoryRefinement:
        chosen = self.refinements[index]
        assert isinstance(chosen, TrajectoryRefinement)
        return chosen

    def train(self, mode: bool = True) -> RefinedNetwork:
        """Tables end where training begins."""
        if mode:
            self.tables = None
        return super().train(mode)

    def build_message(self, config: SegmentConfig, n_features: int, *, first: bool) -> nn.Module:
        """A block before the first forecast, called with all features of the atoms and the pairs; subclasses have others."""
        return VelocityMessage(config.channels, n_features, config.filter_width, config.neighbours, first=first)

    def embed(self, scalars: Tensor) -> tuple[Tensor, ...]:
        """Features of the atoms to begin with: scalars (n_atoms, channels), then vectors that are zero."""
        n_atoms, channels = scalars.shape
        return scalars, scalars.new_zeros(n_atoms, 3, channels)

    def refine(self, index: int, features: tuple[Tensor, ...], *seen: object) -> tuple[Tensor, ...]:
        """Features after the refinement of this index has seen the provisional trajectory."""
        refined: tuple[Tensor, ...] = self.refinements[index](*features, *seen)
        return refined

    def hear(self, look: int, features: tuple[Tensor, ...], waves: FarField | None, moved: Tensor | None = None) -> tuple[Tensor, ...]:
        """Features with what the field of all charges of the cell adds to scalars and vectors, where the network has charges."""
        if waves is None:
            return features
        scalars, vectors, *others = features
        heard: tuple[Tensor, Tensor] = self.far[look](scalars, vectors, waves, moved)
        return (*heard, *others)

    def forward(
        self,
        pairs: PairList,
        velocities: Tensor,
        species: Tensor,
        scale: Tensor,
        waves: FarField | None = None,
        bend: Tensor | None = None,
    ) -> Tensor:
        """Coefficients of the forecast.

        Args:
            pairs: Of atoms, within the cutoff at least.
            velocities: Å/fs, shape (n_atoms, 3); only differences between neighbours count.
            species: Index of each atom's element, shape (n_atoms,).
            scale: Å, what a coefficient of one means for each atom and output, shape (n_atoms, outputs).
            waves: Of the periodic cells, for a network with charges.
            bend: How the past would bend the path of each atom by ``t_max``, Å, for a network that knows an earlier frame, shape
                (n_atoms, 3, 2).

        Returns:
            Shape (n_atoms, 3, outputs).
        """
        return self.coefficients(even_pairs(pairs, len(velocities), self._cutoff), velocities, species, scale, waves, bend)

    def coefficients(
        self, pairs: PairList, velocities: Tensor, species: Tensor, scale: Tensor, waves: FarField | None, bend: Tensor | None = None
    ) -> Tensor:
        """The same from a list of pairs as it is; see :meth:`forward`."""
        separations, receiver, sender, degree = pairs
        relative = (at_atoms(velocities, sender) - at_atoms(velocities, receiver)) * self._t_max
        distances, directions, motion = relative_motion(separations, relative)
        kind = species[receiver] * self._n_species + species[sender]
        pair = self.pair(kind)
        edges = EdgeFeatures(
            receiver=receiver,
            sender=sender,
            degree=degree,
            invariants=torch.cat([self.radial(distances), pair, _MOTION_SCALE * motion], dim=-1),
            envelope=envelope(distances, self._cutoff)[:, None],
            directions=directions[..., None],
            velocities=relative[..., None],
        )
        features = self.embed(self.element(species))
        if self.past is not None and bend is not None:
            scalars, vectors, *others = features
            features = (scalars, vectors + self.past.vectors(bend / scale[:, None, :1], species), *others)
        for message in self.messages:
            features = message(*features, edges)
        features = self.hear(0, features, waves)
        coefficients: Tensor = self.readouts[0](features[1]) * scale[:, None]
        if self.past is not None and bend is not None:
            coefficients = coefficients + self.past.coefficients(bend, species, coefficients.shape[-1])
        for index, readout in enumerate(list(self.readouts)[1:]):
            moved = velocities * self.node_times[:, None, None] + torch.einsum("nak,mk->mna", coefficients, self.node_basis)

            def look(block: PairBlock[EdgeFeatures], index: int = index, moved: Tensor = moved) -> Look:
                heard = at_atoms(moved[:, block.atoms], block.edges.receiver, 1)
                provisional = separations[block.pairs] + at_atoms(moved, block.edges.sender, 1) - heard
                lengths = provisional.square().sum(dim=-1).clamp_min(1e-12).sqrt()
                return Look(self._filters(index, kind[block.pairs], pair[block.pairs], lengths), provisional, lengths[..., None])

            features = self.refine(index, self.hear(index + 1, features, waves, moved), edges, look)
            coefficients = coefficients + readout(features[1]) * scale[:, None]
        return coefficients
