"""The whole message of a block against e3nn's depth-wise tensor product, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from e3nn import o3
from torch import Tensor

from forcefree.nn.tensor_coupling import harmonics
from forcefree.nn.tensor_edges import Chunk, neighbourhoods
from forcefree.nn.tensor_irreps import ALL_TENSORS, TRUE_TENSORS, Irrep, Path, product_kinds, product_paths, row_ranges
from forcefree.nn.tensor_message import TensorMessage
from forcefree.nn.tensor_sum import NeighbourSum, Source
from tensors import make_pairs, to_spherical

CHANNELS = 3
DEGREES = [4, 0, 7, 2, 5]


@pytest.fixture
def double_precision() -> Iterator[None]:
    """What e3nn makes now is exact."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def random_message(sources: tuple[Irrep, ...], seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, TensorMessage]:
    """Receivers, senders, directions, features, weights per pair and the layer, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    receiver, sender, _, _ = make_pairs(DEGREES)
    directions = torch.randn(len(receiver), 3, generator=generator, dtype=torch.float64)
    directions = directions / directions.norm(dim=1, keepdim=True)
    rows = sum(kind.size for kind in sources)
    features = torch.randn(len(DEGREES), rows, CHANNELS, generator=generator, dtype=torch.float64)
    message = TensorMessage(CHANNELS, sources, product_kinds(sources)).double()
    weights = torch.randn(len(receiver), message.n_weights, generator=generator, dtype=torch.float64)
    return receiver, sender, directions, features, weights, message


def weight_columns(message: TensorMessage, sources: tuple[Irrep, ...]) -> dict[Path, slice]:
    """Where the weights of each path stand: by source order, harmonic, result and parity."""
    columns = {}
    start = 0
    for source, harmonic in message.sum.products:
        for triple in source.triples[harmonic]:
            for pseudo in source.pseudo:
                path = Path(Irrep(source.order, pseudo), harmonic, Irrep(triple[2], pseudo != (sum(triple) % 2 == 1)))
                columns[path] = slice(start, start + CHANNELS)
                start += CHANNELS
    assert set(columns) == set(product_paths(sources, ALL_TENSORS))
    return columns


def through(weights: Tensor) -> tuple[tuple[Tensor, ...], object]:
    def of_chunk(chunk: Chunk) -> Tensor:
        return chunk.radial[0]

    return (weights,), of_chunk


def sphere(tensor: Tensor, order: int) -> Tensor:
    """Cartesian components (n, size, channels) in e3nn's basis and layout (n, channels, size)."""
    return torch.einsum("ab,nbc->nca", to_spherical(order), tensor)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("sources", [TRUE_TENSORS, ALL_TENSORS])
def test_every_path_of_the_sum_equals_that_of_e3nn(sources: tuple[Irrep, ...]) -> None:
    receiver, sender, directions, features, weights, message = random_message(sources)
    radial, of_chunk = through(weights)
    pairs = neighbourhoods(receiver, sender, harmonics(directions), radial, len(DEGREES), largest=9)

    found = message(features, pairs, of_chunk)

    columns = weight_columns(message, sources)
    ranges = row_ranges(sources)
    for kind, paths in message.paths.items():
        for number, path in enumerate(paths):
            left, right = o3.Irreps(f"{CHANNELS}x{path.source.name}"), o3.Irreps([(1, (path.harmonic, (-1) ** path.harmonic))])
            product = o3.TensorProduct(
                left, right, f"{CHANNELS}x{kind.name}", [(0, 0, 0, "uvu", True)], shared_weights=False, internal_weights=False
            ).double()
            sent = sphere(features[sender][:, list(ranges[path.source])], path.source.order).flatten(1)
            spherical = o3.spherical_harmonics(path.harmonic, directions, normalize=True, normalization="component")
            expected = torch.zeros(len(DEGREES), CHANNELS * kind.size, dtype=torch.float64)
            expected.index_add_(0, receiver, product(sent, spherical, weights[:, columns[path]]))
            mine = found[kind][pairs.position][..., number * CHANNELS : (number + 1) * CHANNELS]
            mine = sphere(mine, kind.order).flatten(1)
            sign = torch.sign((mine * expected).sum())
            torch.testing.assert_close(mine, sign * expected, rtol=0.0, atol=1e-10)


def test_the_size_of_the_chunks_changes_nothing() -> None:
    receiver, sender, directions, features, weights, message = random_message(ALL_TENSORS, seed=2)
    radial, of_chunk = through(weights)
    results = []
    for largest in (1, 6, 1000):
        pairs = neighbourhoods(receiver, sender, harmonics(directions), radial, len(DEGREES), largest)
        with torch.no_grad():
            found = message(features, pairs, of_chunk)
        results.append(torch.cat([tensor[pairs.position].flatten(1) for tensor in found.values()], dim=1))
    torch.testing.assert_close(results[0], results[2], rtol=0.0, atol=1e-12)
    torch.testing.assert_close(results[1], results[2], rtol=0.0, atol=1e-12)


def test_gradients_of_recomputed_chunks_are_those_of_one_chunk() -> None:
    gradients = []
    for largest in (6, 1000):
        receiver, sender, directions, features, weights, message = random_message(ALL_TENSORS, seed=3)
        inputs = [tensor.requires_grad_() for tensor in (directions, features, weights)]
        radial, of_chunk = through(weights)
        pairs = neighbourhoods(receiver, sender, harmonics(directions), radial, len(DEGREES), largest)
        found = message(features, pairs, of_chunk)
        total = sum(tensor[pairs.position].sin().sum() for tensor in found.values())
        gradients.append(torch.autograd.grad(total, inputs))
    for small, large in zip(*gradients, strict=True):
        torch.testing.assert_close(small, large, rtol=0.0, atol=1e-11)


def test_an_atom_without_neighbours_hears_nothing() -> None:
    receiver, sender, directions, features, weights, message = random_message(ALL_TENSORS)
    radial, of_chunk = through(weights)
    pairs = neighbourhoods(receiver, sender, harmonics(directions), radial, len(DEGREES))
    for tensor in message(features, pairs, of_chunk).values():
        assert tensor[pairs.position][1].abs().max() == 0.0
        assert tensor[pairs.position][2].abs().max() > 0.0


def test_the_fused_form_of_the_sum_is_the_same_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(4)
    total = NeighbourSum(CHANNELS, tuple(Source(order, (False, True)) for order in range(3)))
    features, sender = torch.randn(6, 18 * CHANNELS), torch.randint(0, 6, (12,))
    directions, weights = torch.randn(3, 9, 4), torch.randn(12, total.n_weights)
    with torch.no_grad():
        plain = total(features, sender, directions, weights)
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        fused = total(features, sender, directions, weights)
    assert math.prod(plain[-1].shape[1:]) == 5 * 3 * 2 * 5 * CHANNELS
    for one, other in zip(plain, fused, strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=1e-5)


@pytest.mark.slow
def test_the_compiled_sum_is_the_eager_one_for_any_number_of_places() -> None:
    torch.manual_seed(5)
    total = NeighbourSum(16, (Source(0, (False,)), Source(1, (False, True))))
    compiled = NeighbourSum(16, (Source(0, (False,)), Source(1, (False, True))))
    compiled.compile(dynamic=True)
    for n_receivers, places in ((3, 4), (5, 9), (2, 17)):
        features, sender = torch.randn(6, 7 * 16), torch.randint(0, 6, (n_receivers * places,))
        inputs = (features, sender, torch.randn(n_receivers, 9, places), torch.randn(len(sender), total.n_weights))
        with torch.no_grad():
            for one, other in zip(total(*inputs), compiled(*inputs), strict=True):
                torch.testing.assert_close(one, other, rtol=0.0, atol=1e-4)
