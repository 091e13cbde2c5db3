"""All pairs of atoms and images of some small periodic cells at once, for a GPU, where one search after another would wait."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.state import State

MOST_CANDIDATES = 1 << 25
"""Pairs of an atom and an image that are looked at at once, for which 2 GiB are needed."""


def image_range(state: State, cutoff: float) -> Tensor:
    """How many cells away in each direction an image can be within ``cutoff`` (Å), atoms wrapped, int64, shape (3,)."""
    heights = 1.0 / torch.linalg.inv(state.cell).norm(dim=1)
    return (torch.floor(cutoff / heights) + 1.0).amax(dim=0).to(torch.int64)


def suits_images(state: State, cutoff: float) -> bool:
    """Whether the systems of a batch are of one size, periodic in all directions, and small enough."""
    sizes = state.sizes
    if not bool(state.pbc.all()) or not bool((sizes == sizes[0]).all()) or not bool(state.positions.isfinite().all()):
        return False
    images = int((2 * image_range(state, cutoff) + 1).prod())
    return state.n_atoms * int(sizes[0]) * images <= MOST_CANDIDATES


def image_pairs(state: State, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    """Directed pairs ordered by receiver, sender and image, none of an atom with itself in the same cell.

    Args:
        state: One for which :func:`suits_images` is true.
        cutoff: Å.

    Returns:
        Receivers and senders of shape (n_pairs,), and cell shifts of the senders of shape (n_pairs, 3), all int64.
    """
    n_systems, cells = state.n_systems, state.cell
    size = state.n_atoms // n_systems
    positions = state.positions.detach().view(n_systems, size, 3)
    turns = torch.floor(positions @ torch.linalg.inv(cells))
    wrapped = positions - turns @ cells
    reach = image_range(state, cutoff).tolist()
    steps = [torch.arange(-most, most + 1, device=cells.device) for most in reach]
    images = torch.cartesian_prod(*steps)
    shifts = images.to(cells) @ cells
    between = (wrapped[:, None] - wrapped[:, :, None])[:, :, :, None] + shifts[:, None, None]
    near = between.square().sum(dim=-1) <= cutoff * cutoff
    own = torch.arange(size, device=cells.device)
    near[:, own, own, len(images) // 2] = False
    system, first, second, image = near.nonzero(as_tuple=True)
    whole = turns.to(torch.int64)
    return system * size + first, system * size + second, images[image] - whole[system, second] + whole[system, first]
