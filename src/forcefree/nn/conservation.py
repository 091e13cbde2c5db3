"""Angular momentum of isolated systems: measured, and put back where a forecast lost some."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from forcefree.nn.inertia import inverse_inertia
from forcefree.state import State


def angular_momentum(state: State, positions: Tensor, velocities: Tensor) -> Tensor:
    """Angular momentum about the centre of mass.

    Args:
        state: Masses and systems.
        positions: Å, shape (n_frames, n_atoms, 3).
        velocities: Å/fs, shape (n_frames, n_atoms, 3).

    Returns:
        amu Å^2 / fs, shape (n_frames, n_systems, 3).
    """
    return _angular_momentum(state, _centred(state, positions), velocities)


def inertia_tensor(state: State, positions: Tensor) -> Tensor:
    """Moment of inertia about the centre of mass, amu Å^2, shape (n_frames, n_systems, 3, 3)."""
    return _inertia(state, _centred(state, positions))


def restore_angular_momentum(
    state: State, positions: Tensor, velocities: Tensor, target: Tensor | None = None, *, weights: Tensor | None = None
) -> Tensor:
    r"""Add the rigid rotation :math:`\omega = I^{-1} (L_{target} - L)` that brings the angular momentum back.

    Periodic systems and systems without a rotation are left alone; about the axis of a linear molecule, where the
    inertia vanishes, nothing is changed.

    Args:
        state: Masses, systems, and the state whose angular momentum counts where no target is given.
        positions: Å, shape (n_frames, n_atoms, 3).
        velocities: Å/fs, shape (n_frames, n_atoms, 3).
        target: amu Å^2 / fs, shape (n_systems, 3); that of ``state`` when not given.
        weights: Share of each atom in the rotation that is added, between 0 and 1, shape (n_atoms,); atoms of weight zero
            keep their velocity. All take part when not given.

    Returns:
        Velocities in Å/fs, shape (n_frames, n_atoms, 3).
    """
    if not torch.compiler.is_compiling() and not bool(state.isolated.any()):
        return velocities
    if target is None:
        target = angular_momentum(state, state.positions[None], state.velocities[None])[0]
    arms = _centred(state, positions)
    missing = target - _angular_momentum(state, arms, velocities)
    turning = state
    if weights is not None:
        turning = state.with_(masses=(state.masses * weights).clamp_min(1e-12))
        arms = _centred(turning, arms)
    rotation = (inverse_inertia(_inertia(turning, arms)) @ missing[..., None])[..., 0] * state.isolated[:, None]
    added: Tensor = torch.linalg.cross(rotation[:, state.system], arms)
    return velocities + (added if weights is None else weights[:, None] * added)


def _angular_momentum(state: State, arms: Tensor, velocities: Tensor) -> Tensor:
    """With arms about the centre of mass any uniform velocity drops out."""
    return _sum(state, state.masses[:, None] * torch.linalg.cross(arms, velocities))


def _inertia(state: State, arms: Tensor) -> Tensor:
    outer = _sum(state, (state.masses[:, None] * arms)[..., :, None] * arms[..., None, :])
    trace = outer.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    return trace * torch.eye(3, dtype=arms.dtype, device=arms.device) - outer


def _centred(state: State, vectors: Tensor) -> Tensor:
    mean = _sum(state, state.masses[:, None] * vectors) / state.sum(state.masses)[:, None]
    return vectors - mean[:, state.system]


def _sum(state: State, values: Tensor) -> Tensor:
    """Sum over each system and frame, all along the first dimension: several times as fast as along the second."""
    frames = len(values)
    index = state.system
    if frames != 1:
        index = (index + state.n_systems * torch.arange(frames, device=index.device)[:, None]).reshape(-1)
    total = torch.zeros(frames * state.n_systems, math.prod(values.shape[2:]), dtype=values.dtype, device=values.device)
    total = total.index_add_(0, index, values.reshape(-1, total.shape[1]))
    return total.reshape(frames, state.n_systems, *values.shape[2:])
