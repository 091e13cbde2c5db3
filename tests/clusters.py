"""Clusters of atoms for the attention layers."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.nn.bases import envelope
from forcefree.nn.features import Features, symmetric_traceless
from forcefree.nn.velocity_message import EdgeFeatures, relative_motion

CUTOFF = 4.0
CHANNELS, MATRIX_CHANNELS = 8, 4
N_FEATURES = 4


def random(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in double precision."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_features(n_atoms: int, seed: int = 0) -> Features:
    """Features of every kind."""
    matrices = symmetric_traceless(random(n_atoms, 3, 3, MATRIX_CHANNELS, seed=seed + 2))
    return Features(random(n_atoms, CHANNELS, seed=seed), random(n_atoms, 3, CHANNELS, seed=seed + 1), matrices)


def edges(positions: Tensor, velocities: Tensor, *, uniform: bool = True) -> EdgeFeatures:
    """All pairs of a cluster."""
    n_atoms = len(positions)
    receiver, sender = (~torch.eye(n_atoms, dtype=torch.bool)).nonzero().unbind(1)
    relative = velocities[sender] - velocities[receiver]
    distances, directions, motion = relative_motion(positions[sender] - positions[receiver], relative)
    fade = envelope(distances, CUTOFF)[:, None]
    invariants = torch.cat([distances[:, None], motion], dim=-1)
    return EdgeFeatures(receiver, sender, n_atoms - 1 if uniform else 0, invariants, fade, directions[..., None], relative[..., None])


def turned(features: Features, rotation: Tensor) -> Features:
    """Features of the molecule turned or reflected by an orthogonal matrix."""
    return Features(
        features.scalars,
        torch.einsum("ab,nbc->nac", rotation, features.vectors),
        torch.einsum("ab,nbdc,ed->naec", rotation, features.matrices, rotation),
    )
