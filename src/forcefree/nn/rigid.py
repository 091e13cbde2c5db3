"""Turning a molecule as a rigid body about its centre of mass."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.nn.conservation import angular_momentum, inertia_tensor
from forcefree.state import State

_SOFTENING = 1e-6  # of the inertia, so that a linear molecule has no angular velocity about its axis


def angular_velocity(state: State) -> Tensor:
    """Angular velocity of each isolated system as if it were rigid, zero for periodic ones, rad/fs, shape (n_systems, 3)."""
    inertia = inertia_tensor(state, state.positions[None])[0]
    size = inertia.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
    soft = inertia + (_SOFTENING * size + 1e-12) * torch.eye(3).to(inertia)
    momentum = angular_momentum(state, state.positions[None], state.velocities[None])[0]
    rotation: Tensor = torch.linalg.solve(soft, momentum)
    return rotation * state.isolated[:, None]


def turned(vectors: Tensor, rotation: Tensor, elapsed: Tensor) -> Tensor:
    """Turn vectors about fixed axes at constant rates (Rodrigues' formula).

    Args:
        vectors: Shape (..., n_atoms, 3).
        rotation: rad/fs, shape (n_atoms, 3).
        elapsed: fs, shape (..., n_atoms, 1).
    """
    rate = (rotation.square().sum(dim=-1, keepdim=True) + 1e-20).sqrt()
    across = torch.linalg.cross(rotation.expand_as(vectors), vectors)
    inward = torch.linalg.cross(rotation.expand_as(vectors), across)
    angle = rate * elapsed
    result: Tensor = vectors + torch.sin(angle) / rate * across + 2.0 * (torch.sin(0.5 * angle) / rate).square() * inward
    return result
