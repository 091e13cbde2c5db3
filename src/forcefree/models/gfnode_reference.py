"""The part of GF-NODE that knows the molecule's shape: superposed, left by vibrations, and returned to."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.gfnode_config import GfNodeConfig, ReferenceStructure
from forcefree.nn.bond_graph import whole_bonds
from forcefree.nn.polar import best_rotation
from forcefree.nn.reference_match import Branches, Matcher, intact
from forcefree.nn.spectrum import canonical_modes, lowest_modes
from forcefree.nn.tensor_constants import ConstantsModule
from forcefree.nn.vibrations import Vibrations
from forcefree.state import State

_DECIDED = 0.02  # Å^2; branches whose mean squares differ by more are no rivals
_COLLINEAR = 0.2  # Å; bending at 300 K takes a linear molecule a quarter as far off its line, the angle of water more


class ReferenceMotion(ConstantsModule):
    """Departures of molecules that are the reference, of any atom order, orientation and handedness; zero for all others.

    The reference is superposed on the present structure in every way that keeps elements and bonds, mirrored too, and
    the forecasts of all these branches are averaged, those that fit best with the largest weight. So a relabelled or
    reflected molecule has the relabelled or reflected forecast to the last digits, like atoms are treated alike, and the normal of a plane
    needs no sign.

    Args:
        config: With a reference.
        longest: Longest period in fs before training.

    Raises:
        ForcefreeError: If the reference is not one molecule of three atoms or more off a line.
    """

    shape: Tensor
    bonded: Tensor

    def __init__(self, config: GfNodeConfig, longest: float) -> None:
        super().__init__()
        assert config.reference is not None
        shape, numbers = _centred(config.reference), np.array(config.reference.numbers, dtype=np.int64)
        bonded = whole_bonds(shape, torch.from_numpy(numbers))
        self._matcher = Matcher(numbers, bonded.numpy())
        self.register_buffer("bonded", bonded, persistent=False)
        self.keep("shape", shape)
        values, vectors = canonical_modes(torch.diag(bonded.sum(dim=1).double()) - bonded.double())
        moving = torch.ones_like(values)
        if config.modes is not None and config.fourier:
            moving = lowest_modes(values[None], torch.tensor([len(values)]), config.modes)[0]
        if not config.fourier:
            values, vectors = torch.zeros_like(values), torch.eye(len(values), dtype=torch.float64)
        self.vibrations = Vibrations(
            values,
            vectors,
            moving,
            relaxations=config.relaxations,
            longest=longest,
            coupled=config.coupled,
            shared_clock=config.shared_clock,
        )

    def forward(self, state: State, weights: Tensor, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Departures from free flight, and how far they are the whole forecast.

        Args:
            state: Systems.
            weights: Of the bonds, padded, shape (n_systems, n_most, n_most).
            times: fs, shape (n_times, n_systems).

        Returns:
            Å and Å/fs, each of shape (n_times, n_atoms, 3), and a share between 0 and 1, shape (n_systems,).
        """
        branches = self._matcher(state, weights)
        rotation, displaced, velocities, misfit = self._fitted(state, branches)
        share, whole = _shares(branches, intact(branches, weights.double(), self.bonded), misfit, state.n_systems)
        asked = times[:, branches.system]
        there, rates = self.vibrations(displaced.to(self.shape), velocities.to(self.shape), asked.to(self.shape))
        moved = there - displaced.to(there) - asked.to(there)[:, :, None, None] * velocities.to(there)
        back = rotation.to(there) * share.to(there)[:, None, None]
        total = moved.new_zeros(len(times), state.n_atoms, 6)
        both = torch.cat([moved @ back, (rates - velocities.to(rates)) @ back], dim=-1)
        total = total.index_add(1, branches.atoms.flatten(), both.flatten(1, 2))
        return total[..., :3], total[..., 3:], whole.to(there)

    def start_from(self, state: State, weights: Tensor) -> None:
        """Begin with the quasi-harmonic modes of a sample of structures and velocities.

        Args:
            state: Many copies of the molecule.
            weights: Of their bonds, padded, shape (n_systems, n_most, n_most).

        Raises:
            ForcefreeError: If none of them is the reference.
        """
        branches = self._matcher(state, weights)
        if not len(branches.system):
            raise ForcefreeError("none of the structures to start from has the elements and bonds of the reference")
        _, displaced, velocities, misfit = self._fitted(state, branches)
        share, _ = _shares(branches, intact(branches, weights.double(), self.bonded), misfit, state.n_systems)
        root = share.sqrt()[:, None, None]
        self.vibrations.start_from((root * displaced).to(self.shape), (root * velocities).to(self.shape))

    def _fitted(self, state: State, branches: Branches) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rotation of each branch, displacements and velocities in its frame, and mean square displacement in Å^2."""
        shape = self._exact["shape"].to(state.positions)
        positions, velocities = state.positions[branches.atoms], state.velocities[branches.atoms]
        arms = positions - positions.mean(dim=1, keepdim=True)
        rotation = best_rotation(shape.T @ arms, branches.handedness)
        inward = rotation.transpose(1, 2)
        displaced = arms @ inward - shape
        return rotation, displaced, velocities @ inward, displaced.square().sum(dim=(1, 2)) / len(shape)


def _shares(branches: Branches, bonds: Tensor, misfit: Tensor, systems: int) -> tuple[Tensor, Tensor]:
    """Share of each branch in the forecast of its system, and their sum over the branches of each system."""
    best = torch.full((systems,), torch.inf, dtype=misfit.dtype, device=misfit.device)
    best = best.scatter_reduce(0, branches.system, misfit.detach(), "amin")
    fit = bonds * torch.exp((best[branches.system] - misfit) / _DECIDED)
    total = torch.zeros_like(best).index_add(0, branches.system, fit).clamp_min(1e-30)
    share = bonds * fit / total[branches.system]
    return share, torch.zeros_like(best).index_add(0, branches.system, share)


def _centred(reference: ReferenceStructure) -> Tensor:
    """The reference about its centre, shape (n_atoms, 3).

    Raises:
        ForcefreeError: If its frame is not determined.
    """
    positions = torch.tensor(reference.positions, dtype=torch.float64)
    centred: Tensor = positions - positions.mean(dim=0)
    extents = torch.linalg.svdvals(centred)
    if len(positions) < 3 or float(extents[1]) < _COLLINEAR * len(positions) ** 0.5:
        raise ForcefreeError("the reference of this model lies on a line, so that it has no frame of its own; leave the reference out")
    return centred
