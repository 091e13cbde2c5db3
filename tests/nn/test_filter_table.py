"""Tables of radial filters, against the functions that they stand for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from forcefree.nn.filter_table import FilterTable

REACH = 6.0


def curve(kind: int, lengths: Tensor) -> Tensor:
    """Two smooth functions that differ by kind."""
    return torch.stack([torch.sin((1.0 + kind) * lengths), torch.exp(-((lengths - 2.0 - kind) ** 2))], dim=-1)


@pytest.fixture
def places() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 3, (200,), generator=generator), REACH * torch.rand(5, 200, generator=generator, dtype=torch.float64)


def expected(kind: Tensor, lengths: Tensor) -> Tensor:
    return torch.stack([curve(int(k), lengths[:, i]) for i, k in enumerate(kind)], dim=1)


@pytest.mark.parametrize(("intervals", "error"), [(64, 2e-4), (128, 1.2e-5), (256, 8e-7)])
def test_the_error_falls_with_the_fourth_power_of_the_spacing(places: tuple[Tensor, Tensor], intervals: int, error: float) -> None:
    kind, lengths = places
    table = FilterTable(curve, 3, REACH, intervals).double()
    exact = FilterTable(curve, 3, REACH, 4096).double()
    assert float((table(kind, lengths) - expected(kind, lengths)).abs().max()) < error
    assert float((exact(kind, lengths) - expected(kind, lengths)).abs().max()) < 1e-6


def test_knots_are_exact_and_the_ends_hold(places: tuple[Tensor, Tensor]) -> None:
    table = FilterTable(curve, 3, REACH, 32)
    knots = torch.linspace(0.0, REACH, 33, dtype=torch.float64)
    for kind in range(3):
        found = table(torch.full((33,), kind), knots)
        torch.testing.assert_close(found.double(), curve(kind, knots), atol=1e-6, rtol=1e-6)
    beyond = table(torch.zeros(1, dtype=torch.int64), torch.tensor([100.0], dtype=torch.float64))
    torch.testing.assert_close(beyond.double(), curve(0, knots[-1:]), atol=1e-6, rtol=1e-6)


def test_no_pairs_are_no_rows() -> None:
    found = FilterTable(curve, 2, REACH, 16)(torch.zeros(0, dtype=torch.int64), torch.zeros(5, 0))
    assert found.shape == (5, 0, 2)


def test_it_joins_smoothly_at_the_knots() -> None:
    table = FilterTable(curve, 1, REACH, 16).double()
    kind, step = torch.zeros(1, dtype=torch.int64), 1e-6
    for knot in (0.375 * torch.arange(1, 16, dtype=torch.float64)).tolist():
        left, middle, right = (table(kind, torch.tensor([knot + shift], dtype=torch.float64)) for shift in (-step, 0.0, step))
        assert float((right - 2.0 * middle + left).abs().max()) < 1e-9
