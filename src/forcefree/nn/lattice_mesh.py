"""The smooth part of Coulomb's law in large periodic cells: charges and fields pass through a mesh, whose cost grows with the atoms alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from forcefree.nn.splines import euler_factors, spline_weights

ORDER = 6
"""Points of the mesh along each axis that an atom touches."""

_SPACING = 0.36  # in units of the smearing, where the error is a few millionths
_ATOMS_AT_ONCE = 4096


@dataclass(frozen=True)
class LatticeMesh:
    """Potential and field of smeared charges by the smooth particle-mesh sum of Essmann et al. (J. Chem. Phys. 103, 8577, 1995).

    It says what :class:`LatticeWaves` says to a few millionths of the field, but for rotations and translations, which a mesh
    knows to that accuracy only; so it serves large cells without gradients, in single precision.

    Attributes:
        fractions: Of the cell vectors, of each atom's position, float64, shape (n_atoms, 3).
        rows: From Å to fractions, float64, shape (n_systems, 3, 3).
        influences: Of each system, Å, shape (n_1, n_2, n_3 // 2 + 1).
        sizes: Mesh of each system.
        atoms: Slice of each system.
    """

    fractions: Tensor
    rows: Tensor
    influences: tuple[Tensor, ...]
    sizes: tuple[tuple[int, int, int], ...]
    atoms: tuple[slice, ...]

    def field(self, charges: Tensor, moved: Tensor | None = None) -> Tensor:
        """As :meth:`LatticeWaves.field`."""
        found = []
        with torch.autocast(charges.device.type, enabled=False):
            charges = charges.to(self.influences[0])
            for system, atoms in enumerate(self.atoms):
                shifts = charges.new_zeros(1, atoms.stop - atoms.start, 3) if moved is None else moved[:, atoms]
                found.append(torch.stack([self._at_time(system, charges[atoms], shift) for shift in shifts]))
        return torch.cat(found, dim=1)

    def _at_time(self, system: int, charges: Tensor, shifts: Tensor) -> Tensor:
        """Potential and field, shape (n_atoms, 4, n_kinds)."""
        size, kinds = self.sizes[system], charges.shape[1]
        rows = self.rows[system]
        points = torch.tensor(size, dtype=torch.float64, device=charges.device)
        exact = (self.fractions[self.atoms[system]] + shifts.to(torch.float64) @ rows) * points
        first = exact.floor()
        weights, slopes = spline_weights((exact - first).to(charges.dtype), ORDER)
        places = self._places(first.to(torch.int64), size)
        mesh = charges.new_zeros(math.prod(size), kinds)
        blocks = [slice(start, start + _ATOMS_AT_ONCE) for start in range(0, len(charges), _ATOMS_AT_ONCE)]
        for block in blocks:
            spread = _outer(weights[block, 0], weights[block, 1], weights[block, 2])[..., None] * charges[block, None]
            mesh.index_add_(0, places[block].flatten(), spread.flatten(0, 1))
        waves = torch.fft.rfftn(mesh.T.reshape(kinds, *size), dim=(1, 2, 3)) * self.influences[system]
        potential = torch.fft.irfftn(waves, s=size, dim=(1, 2, 3), norm="forward").reshape(kinds, -1).T.contiguous()
        to_space = (points[:, None] * rows.T).to(charges)
        seen = []
        for block in blocks:
            around = potential.index_select(0, places[block].flatten()).view(*places[block].shape, kinds)
            a, b, c = weights[block].unbind(1)
            da, db, dc = slopes[block].unbind(1)
            factors = torch.stack([_outer(a, b, c), _outer(da, b, c), _outer(a, db, c), _outer(a, b, dc)], dim=1)
            read = torch.bmm(factors, around)
            field = -torch.einsum("nmk,mi->nik", read[:, 1:], to_space)
            seen.append(torch.cat([read[:, :1], field], dim=1))
        return torch.cat(seen)

    def _places(self, first: Tensor, size: tuple[int, int, int]) -> Tensor:
        """Points of the mesh that each atom touches, shape (n_atoms, ORDER^3)."""
        reach = torch.arange(ORDER, device=first.device)
        along = [(first[:, axis, None] - reach) % size[axis] for axis in range(3)]
        flat = (along[0][:, :, None, None] * size[1] + along[1][:, None, :, None]) * size[2] + along[2][:, None, None, :]
        return flat.flatten(1)


def mesh_sizes(cell: Tensor, smearing: float) -> tuple[int, int, int]:
    """Points along each cell vector, products of small primes."""
    first, second, third = (_smooth(float(length) / (_SPACING * smearing)) for length in cell.norm(dim=-1))
    return first, second, third


def influence(cell: Tensor, size: tuple[int, int, int], smearing: float, shortest: float) -> Tensor:
    """What each wave of the mesh contributes to the potential, Å, shape (n_1, n_2, n_3 // 2 + 1).

    Args:
        cell: Å, shape (3, 3).
        size: Mesh.
        smearing: Standard deviation of a charge in Å.
        shortest: 1/Å, beyond which waves are left out.
    """
    n_1, n_2, n_3 = size
    counts = [torch.fft.fftfreq(n, 1.0 / n, dtype=cell.dtype, device=cell.device) for n in (n_1, n_2)]
    counts.append(torch.fft.rfftfreq(n_3, 1.0 / n_3, dtype=cell.dtype, device=cell.device))
    triples = torch.cartesian_prod(*counts).view(n_1, n_2, -1, 3)
    squares = (2.0 * math.pi * triples @ torch.linalg.inv(cell).T).square().sum(dim=-1)
    volume = torch.linalg.det(cell).abs()
    kernel = 4.0 * math.pi / volume * torch.exp(-0.5 * smearing**2 * squares) / squares.clamp_min(1e-30)
    kernel = torch.where((squares > 0.0) & (squares <= shortest**2), kernel, torch.zeros_like(kernel))
    factors = [euler_factors(count, n, ORDER) for count, n in zip(counts, size, strict=True)]
    return kernel * factors[0][:, None, None] * factors[1][:, None] * factors[2]


def _outer(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Products over three axes, shape (n_atoms, ORDER^3)."""
    return (a[:, :, None, None] * b[:, None, :, None] * c[:, None, None, :]).flatten(1)


def _smooth(least: float) -> int:
    """The least even number of small primes that is no smaller."""
    number = max(ORDER, 2 * math.ceil(least / 2.0))
    while _rest(number) > 1:
        number += 2
    return number


def _rest(number: int) -> int:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number
