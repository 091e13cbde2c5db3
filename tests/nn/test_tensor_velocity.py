"""Velocities: smooth at rest, heard above the range of the basis, and multiplied as e3nn multiplies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from e3nn import o3

from forcefree.nn.tensor_coupling import harmonics
from forcefree.nn.tensor_irreps import ALL_TENSORS, TRUE_TENSORS, Irrep, product_kinds, row_ranges
from forcefree.nn.tensor_velocity import VelocityEncoding, VelocityProduct
from tensors import to_spherical

MAX = 0.11  # Å/fs


@pytest.fixture
def double_precision() -> Iterator[None]:
    """What e3nn makes now is exact."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def encoding(n_species: int = 2) -> VelocityEncoding:
    torch.manual_seed(0)
    return VelocityEncoding(n_species, MAX).double()


def along(speeds: list[float]) -> torch.Tensor:
    direction = torch.tensor([0.6, -0.48, 0.64], dtype=torch.float64)
    return torch.tensor(speeds, dtype=torch.float64)[:, None] * direction


def test_reversing_a_vanishing_velocity_changes_nothing() -> None:
    basis, angular = encoding()(along([1e-9, -1e-9]), torch.zeros(2, dtype=torch.int64))
    torch.testing.assert_close(basis[0], basis[1], rtol=0.0, atol=1e-15)
    torch.testing.assert_close(angular[0], angular[1], rtol=0.0, atol=1e-6)
    assert angular[:, 1:].abs().max() < 1e-6


def test_first_and_second_derivatives_exist_at_rest() -> None:
    network = encoding()
    species = torch.zeros(1, dtype=torch.int64)

    def flat(velocity: torch.Tensor) -> torch.Tensor:
        basis, angular = network(velocity[None], species)
        return torch.cat([basis, angular], dim=1)[0] @ torch.arange(17, dtype=torch.float64)

    at_rest = torch.autograd.functional.hessian(flat, torch.zeros(3, dtype=torch.float64))
    nearby = torch.autograd.functional.hessian(flat, along([1e-7])[0])
    torch.testing.assert_close(at_rest, nearby, rtol=1e-4, atol=0.1)


def test_an_atom_faster_than_the_range_is_still_heard() -> None:
    fast = torch.linspace(MAX, 4 * MAX, 10).tolist()
    basis, _ = encoding()(along(fast), torch.zeros(10, dtype=torch.int64))
    assert (basis[1:] - basis[:-1]).norm(dim=1).min() > 0.05


def test_harmonics_of_a_fast_atom_are_those_of_its_direction() -> None:
    _, angular = encoding()(along([1.0]), torch.zeros(1, dtype=torch.int64))
    torch.testing.assert_close(angular, harmonics(along([1.0])), rtol=1e-3, atol=1e-3)


def test_each_element_has_its_own_mixture() -> None:
    network = encoding()
    basis, angular = network(along([0.03, 0.03, 0.05]), torch.tensor([0, 1, 0]))
    assert (basis[0] - basis[1]).abs().max() > 0.1
    torch.testing.assert_close(angular[0], angular[1])
    single, _ = network(along([0.05]), torch.tensor([0]))
    torch.testing.assert_close(basis[2:], single)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("sources", [product_kinds(TRUE_TENSORS), ALL_TENSORS])
def test_every_path_equals_that_of_e3nn(sources: tuple[Irrep, ...]) -> None:
    channels, n_atoms = 3, 4
    torch.manual_seed(1)
    product = VelocityProduct(channels, sources, ALL_TENSORS, 8, 16).double()
    features = torch.randn(n_atoms, sum(kind.size for kind in sources), channels, dtype=torch.float64)
    basis, directions = torch.randn(n_atoms, 8, dtype=torch.float64), torch.randn(n_atoms, 3, dtype=torch.float64)
    directions = directions / directions.norm(dim=1, keepdim=True)

    found = product(features, basis, harmonics(directions))

    weights = product.weights(basis).view(n_atoms, -1, channels)
    ranges, index = row_ranges(sources), 0
    for kind, paths in product.paths.items():
        for number, path in enumerate(paths):
            oracle = o3.TensorProduct(
                f"{channels}x{path.source.name}",
                o3.Irreps([(1, (path.harmonic, (-1) ** path.harmonic))]),
                f"{channels}x{kind.name}",
                [(0, 0, 0, "uvu", True)],
                shared_weights=False,
                internal_weights=False,
            ).double()
            mine = torch.einsum("ab,nbc->nca", to_spherical(kind.order), found[kind][..., number * channels : (number + 1) * channels])
            own = torch.einsum("ab,nbc->nca", to_spherical(path.source.order), features[:, list(ranges[path.source])])
            spherical = o3.spherical_harmonics(path.harmonic, directions, normalize=True, normalization="component")
            expected = oracle(own.flatten(1), spherical, weights[:, index])
            sign = torch.sign((mine.flatten(1) * expected).sum())
            torch.testing.assert_close(mine.flatten(1), sign * expected, rtol=0.0, atol=1e-10)
            index += 1
    assert index == (27 if len(sources) == 5 else 30)
