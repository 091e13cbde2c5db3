"""Hankel matrices: built, taken apart, and consistent exactly when they come from one series."""

from __future__ import annotations

import pytest
import torch

from forcefree.nn.hankel import hankel, inconsistency, known, unhankel


@pytest.mark.parametrize("rows", [1, 2, 5, 12])
def test_a_series_survives_the_round_trip(rows: int) -> None:
    series = torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = hankel(series, rows)
    assert matrix.shape == (13 - rows, rows, 3)
    assert torch.equal(matrix[0], series[:rows])
    torch.testing.assert_close(unhankel(matrix), series)
    assert float(inconsistency(matrix, 0)) < 1e-28


def test_the_unknown_triangle_holds_the_right_number_of_entries() -> None:
    seen = known(10, 4)
    assert int((~seen).sum()) == 4 * 3 // 2
    assert bool(seen[:, 0].all())
    assert seen[-1].tolist() == [True, False, False, False]


def test_disagreement_counts_from_the_first_time_on() -> None:
    matrix = hankel(torch.arange(8.0), 3)
    matrix[0, 0] += 5.0
    assert float(inconsistency(matrix, 0)) == 0.0
    matrix[2, 2] += 3.0
    assert float(inconsistency(matrix, 5)) == 0.0
    # time 4 has three entries: deviations 2, -1, -1 from their mean, of 18 - 4 entries from time 3 on twelve
    time = torch.arange(6)[:, None] + torch.arange(3)
    assert float(inconsistency(matrix, 3)) == pytest.approx(6.0 / int((time >= 3).sum()))
