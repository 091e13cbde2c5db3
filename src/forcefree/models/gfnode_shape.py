"""One shape of a molecule, and the vibrations about it, seen from the frame of its superposition."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.gfnode_config import GfNodeConfig
from forcefree.nn.polar import best_rotation
from forcefree.nn.reference_match import Branches
from forcefree.nn.spectrum import canonical_modes, lowest_modes
from forcefree.nn.tensor_constants import ConstantsModule
from forcefree.nn.vibrations import Vibrations
from forcefree.state import State

_COLLINEAR = 0.2  # Å; bending at 300 K takes a linear molecule a quarter as far off its line, the angle of water more


class Fit(NamedTuple):
    """How a shape lies on the molecules of a batch, one way for each branch.

    Attributes:
        rotation: From the frame of the shape to that of space, shape (n_branches, 3, 3).
        displaced: From the shape, in its frame, Å, shape (n_branches, n_reference, 3).
        velocities: In the same frame, Å/fs.
        misfit: Mean square displacement, Å^2, shape (n_branches,).
    """

    rotation: Tensor
    displaced: Tensor
    velocities: Tensor
    misfit: Tensor


class ReferenceShape(ConstantsModule):
    """A shape with its vibrations.

    Args:
        positions: Å, float64, shape (n_reference, 3).
        bonded: Its bonds, shape (n_reference, n_reference).
        config: Of the model.
        longest: Longest period in fs before training.

    Raises:
        ForcefreeError: If the shape lies on a line.
    """

    shape: Tensor

    def __init__(self, positions: Tensor, bonded: Tensor, config: GfNodeConfig, longest: float) -> None:
        super().__init__()
        self.keep("shape", _centred(positions))
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

    def fitted(self, state: State, branches: Branches) -> Fit:
        """Superpose the shape on the molecules of a batch, branch by branch."""
        shape = self._exact["shape"].to(state.positions)
        positions, velocities = state.positions[branches.atoms], state.velocities[branches.atoms]
        arms = positions - positions.mean(dim=1, keepdim=True)
        rotation = best_rotation(shape.T @ arms, branches.handedness)
        inward = rotation.transpose(1, 2)
        displaced = arms @ inward - shape
        return Fit(rotation, displaced, velocities @ inward, displaced.square().sum(dim=(1, 2)) / len(shape))

    def forward(self, fit: Fit, times: Tensor) -> Tensor:
        """Departures from free flight in the frame of space.

        Args:
            fit: Of the shape.
            times: fs, shape (n_times, n_branches).

        Returns:
            Å and Å/fs side by side, shape (n_times, n_branches, n_reference, 6).
        """
        displaced, velocities, asked = fit.displaced.to(self.shape), fit.velocities.to(self.shape), times.to(self.shape)
        there, rates = self.vibrations(displaced, velocities, asked)
        moved = there - displaced - asked[:, :, None, None] * velocities
        back = fit.rotation.to(there)
        return torch.cat([moved @ back, (rates - velocities) @ back], dim=-1)

    def start_from(self, fit: Fit, share: Tensor) -> None:
        """Begin with the quasi-harmonic modes of a sample, of which each branch counts by its share, shape (n_branches,)."""
        root = share.detach().sqrt()[:, None, None]
        self.vibrations.start_from((root * fit.displaced).to(self.shape), (root * fit.velocities).to(self.shape))


def _centred(positions: Tensor) -> Tensor:
    """The shape about its centre, shape (n_atoms, 3).

    Raises:
        ForcefreeError: If its frame is not determined.
    """
    centred: Tensor = positions - positions.mean(dim=0)
    extents = torch.linalg.svdvals(centred)
    if len(positions) < 3 or float(extents[1]) < _COLLINEAR * len(positions) ** 0.5:
        raise ForcefreeError("the reference of this model lies on a line, so that it has no frame of its own; leave the reference out")
    return centred
