"""The table against the perceptron that it stands for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from forcefree.nn.bases import BesselBasis, envelope
from forcefree.nn.tensor_radial import RadialTable, normalised_perceptron

CUTOFF = 5.0


class Polynomial(nn.Module):
    """Two polynomials of the distance, the second one cubic."""

    def forward(self, basis: Tensor) -> Tensor:
        return torch.cat([1.0 - basis, 2.0 + basis - 3.0 * basis.square() + 0.7 * basis**3], dim=1)


def test_the_start_is_normalised_at_every_depth() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(4000, 64)
    for widths in ((64, 256), (64, 64, 64), (64, 64, 64, 64, 128)):
        assert normalised_perceptron(*widths)(inputs).square().mean().item() == pytest.approx(1.0, rel=0.25)


def test_no_input_no_output() -> None:
    assert normalised_perceptron(8, 16, 16, 5)(torch.zeros(3, 8)).abs().max() == 0.0


def test_cubic_functions_are_interpolated_exactly_up_to_the_cutoff() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    table = RadialTable([Polynomial()], lambda r: r[:, None], CUTOFF, like, rows=12)
    distances = torch.linspace(0.0, CUTOFF, 401, dtype=torch.float64)
    found = table.look_up(0, table.taps(distances))
    torch.testing.assert_close(found, Polynomial()(distances[:, None]), rtol=0.0, atol=1e-12)


def test_four_times_as_many_rows_make_the_error_two_hundred_times_smaller() -> None:
    torch.manual_seed(1)
    radial, bessel = normalised_perceptron(8, 64, 64, 64, 30).double(), BesselBasis(8, CUTOFF).double()

    def basis(r: Tensor) -> Tensor:
        return bessel(r) * envelope(r, CUTOFF)[:, None]

    distances = torch.linspace(0.8, CUTOFF, 997, dtype=torch.float64)
    with torch.no_grad():
        exact = radial(basis(distances))
        errors = []
        for rows in (128, 512):
            table = RadialTable([radial], basis, CUTOFF, distances, rows)
            errors.append(float((table.look_up(0, table.taps(distances)) - exact).abs().max() / exact.abs().max()))
    assert errors[1] < 2e-6
    assert errors[0] / errors[1] > 150.0


def test_several_functions_share_one_grid() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    modules = [Polynomial(), nn.Identity()]
    table = RadialTable(modules, lambda r: r[:, None], CUTOFF, like, rows=16)
    taps = table.taps(torch.tensor([0.7, 3.3], dtype=torch.float64))
    assert [table.look_up(index, taps).shape for index in range(2)] == [(2, 2), (2, 1)]
    torch.testing.assert_close(table.look_up(1, taps)[:, 0], torch.tensor([0.7, 3.3], dtype=torch.float64))
