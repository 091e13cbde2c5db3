"""The graph Fourier transform: spatial scales of a molecule are the eigenspaces of its bond graph's Laplacian."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from forcefree.state import State

_SAME = 1e-6  # eigenvalues closer than this are one eigenspace where a number of modes is asked for
_SAME_SCALE = 0.1  # and this far apart they still feel each other's amplitude


@dataclass(frozen=True)
class Spectrum:
    """Modes of every system of a batch.

    Eigenvectors are a choice, in sign and inside a degenerate space; eigenspaces are not. Whatever acts on a mode must
    therefore be a linear map that depends on its eigenvalue and on invariants of its eigenspace alone, so that only the
    projectors onto eigenspaces are left in the result.

    Attributes:
        values: Eigenvalues, ascending, shape (n_systems, n_modes).
        vectors: Columns are eigenvectors, shape (n_systems, n_modes, n_modes).
        moving: Modes that evolve, 1 or 0, shape (n_systems, n_modes).
        slot: Place of each atom in the padded layout, shape (n_atoms,).
        together: How far two modes belong to one spatial scale, 1 inside an eigenspace, shape (n_systems, n_modes, n_modes).
    """

    values: Tensor
    vectors: Tensor
    moving: Tensor
    slot: Tensor
    together: Tensor

    @classmethod
    def of(cls, state: State, laplacian: Tensor, like: Tensor, modes: int | None = None) -> Spectrum:
        """Diagonalise, in double precision and without gradients.

        Args:
            state: Systems.
            laplacian: Symmetric, padded, shape (n_systems, n_modes, n_modes).
            like: Gives the precision of the result.
            modes: Let only the lowest ``modes`` evolve, and with them whatever shares an eigenvalue with the last.
        """
        values, vectors = torch.linalg.eigh(laplacian.detach().double())
        sizes = state.sizes
        moving = torch.ones_like(values) if modes is None else lowest_modes(values, sizes, modes)
        rank = torch.arange(state.n_atoms, device=sizes.device) - (torch.cumsum(sizes, 0) - sizes)[state.system]
        together = torch.exp(-0.5 * ((values[:, :, None] - values[:, None]) / _SAME_SCALE).square())
        slot = state.system * values.shape[1] + rank
        return cls(values.clamp_min(0.0).to(like), vectors.to(like), moving.to(like), slot, together.to(like))

    @classmethod
    def trivial(cls, state: State, like: Tensor) -> Spectrum:
        """One mode per atom and no graph: what is left without the Fourier transform."""
        most = int(state.sizes.max())
        zeros = torch.zeros(state.n_systems, most, most, dtype=like.dtype, device=like.device)
        separate = torch.eye(most).to(like).expand_as(zeros)
        return replace(cls.of(state, zeros, like), vectors=separate, together=separate)

    def to_modes(self, features: Tensor) -> Tensor:
        """From atoms (n_atoms, ...) to modes (n_systems, n_modes, ...)."""
        systems, modes = self.values.shape
        padded = features.new_zeros(systems * modes, *features.shape[1:]).index_copy(0, self.slot, features)
        return (self.vectors.transpose(1, 2) @ padded.view(systems, modes, -1)).view(systems, modes, *features.shape[1:])

    def to_atoms(self, amplitudes: Tensor) -> Tensor:
        """From modes (n_times, n_systems, n_modes, ...) to atoms (n_times, n_atoms, ...)."""
        times, systems, modes = amplitudes.shape[:3]
        padded = self.vectors @ amplitudes.reshape(times, systems, modes, -1)
        return padded.view(times, systems * modes, *amplitudes.shape[3:]).index_select(1, self.slot)


def lowest_modes(values: Tensor, sizes: Tensor, modes: int) -> Tensor:
    """1 for the lowest modes of each system, and for whatever shares an eigenvalue with the last of them, 0 for the others.

    Args:
        values: Eigenvalues, ascending, padded with zeros in front, shape (n_systems, n_most).
        sizes: Atoms of each system, shape (n_systems,).
        modes: How many.
    """
    padded = (values.shape[1] - sizes)[:, None]
    last = values.gather(1, (padded + modes - 1).clamp(max=values.shape[1] - 1))
    return (values <= last + _SAME).to(values.dtype)


def canonical_modes(laplacian: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of one graph that do not depend on the routine which found them.

    Weights that were trained for modes one by one need the same modes on every machine. Every eigenspace is spanned by the
    projections of the atoms onto it, taken in order, each made orthogonal to the earlier ones.

    Args:
        laplacian: Symmetric, float64, shape (n_atoms, n_atoms).

    Returns:
        Values of shape (n_atoms,), ascending, and columns of shape (n_atoms, n_atoms).
    """
    values, vectors = torch.linalg.eigh(laplacian)
    columns: list[Tensor] = []
    edges = [0, *(1 + (values.diff() > _SAME).nonzero()[:, 0]).tolist(), len(values)]
    for start, stop in pairwise(edges):
        left = vectors[:, start:stop] @ vectors[:, start:stop].T
        for _ in range(stop - start):
            longest = left.square().sum(dim=0).sqrt()
            chosen = int((longest > 0.5 * longest.max()).nonzero()[0, 0])
            column = left[:, chosen] / longest[chosen]
            columns.append(column)
            left = left - column[:, None] * (column @ left)
    return values.clamp_min(0.0), torch.stack(columns, dim=1)
