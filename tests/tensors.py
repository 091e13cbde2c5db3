"""Helpers for tests of Cartesian tensors: random pairs, and the change to e3nn's spherical basis."""

from __future__ import annotations

import torch
from e3nn import o3
from torch import Tensor

from forcefree.nn.tensor_coupling import harmonics


def to_spherical(order: int) -> Tensor:
    """Matrix from Cartesian components of an order to e3nn's, found from the harmonics of random directions."""
    directions = torch.randn(50, 3, generator=torch.Generator().manual_seed(order), dtype=torch.float64)
    directions = directions / directions.norm(dim=1, keepdim=True)
    cartesian = harmonics(directions)[:, order**2 : (order + 1) ** 2]
    spherical = o3.spherical_harmonics(order, directions, normalize=True, normalization="component")
    solution = torch.linalg.lstsq(cartesian, spherical).solution
    torch.testing.assert_close(cartesian @ solution, spherical, rtol=0.0, atol=1e-12)
    return solution.T


def make_pairs(degrees: list[int], seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Receivers, senders, harmonics and two radial features of random pairs with given degrees."""
    generator = torch.Generator().manual_seed(seed)
    receiver = torch.repeat_interleave(torch.arange(len(degrees)), torch.tensor(degrees, dtype=torch.int64))
    sender = torch.randint(0, len(degrees), receiver.shape, generator=generator)
    harmonic = torch.randn(len(receiver), 9, generator=generator, dtype=torch.float64)
    radial = torch.randn(len(receiver), 2, generator=generator, dtype=torch.float64)
    return receiver, sender, harmonic, radial
