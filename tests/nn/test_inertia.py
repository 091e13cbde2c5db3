"""The closed-form inverse of inertia tensors, against linear algebra."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forcefree.nn.inertia import inverse_inertia


def inertia_of(positions: torch.Tensor, masses: torch.Tensor) -> torch.Tensor:
    arms = positions - (masses[:, None] * positions).sum(0) / masses.sum()
    outer = (masses[:, None, None] * arms[:, :, None] * arms[:, None, :]).sum(0)
    return outer.trace() * torch.eye(3, dtype=torch.float64) - outer


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), atoms=st.integers(3, 12), size=st.floats(0.01, 1e3))
def test_it_inverts_the_inertia_of_any_bent_molecule(seed: int, atoms: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    positions = size * torch.randn(atoms, 3, generator=generator, dtype=torch.float64)
    masses = 1.0 + 30.0 * torch.rand(atoms, generator=generator, dtype=torch.float64)
    inertia = inertia_of(positions, masses)
    moments = torch.linalg.eigvalsh(inertia)
    error = (inverse_inertia(inertia) @ inertia - torch.eye(3, dtype=torch.float64)).abs().max()
    assert float(error) < 1e-13 * float(moments[-1] / moments[0]) ** 2 + 1e-13


@pytest.mark.parametrize("atoms", [2, 3, 5])
def test_a_line_gets_the_pseudo_inverse(atoms: int) -> None:
    direction = torch.tensor([0.6, -0.48, 0.64], dtype=torch.float64)
    positions = torch.linspace(-1.0, 2.0, atoms, dtype=torch.float64)[:, None] * direction
    inertia = inertia_of(positions, torch.arange(1.0, atoms + 1.0, dtype=torch.float64))
    expected = torch.linalg.pinv(inertia, rtol=1e-7, hermitian=True)
    torch.testing.assert_close(inverse_inertia(inertia), expected, atol=1e-13, rtol=1e-12)


def test_an_atom_has_nothing_to_turn_and_a_broken_system_harms_no_other() -> None:
    good = inertia_of(torch.eye(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64))
    batch = torch.stack([torch.zeros(3, 3, dtype=torch.float64), good, torch.full((3, 3), torch.nan, dtype=torch.float64)])
    found = inverse_inertia(batch)
    assert bool((found[0] == 0.0).all())
    torch.testing.assert_close(found[1], torch.linalg.inv(good))
    assert bool(found[2].isnan().all())
