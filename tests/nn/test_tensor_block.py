"""A block may leave out what its results do not depend on, and nothing else."""

from __future__ import annotations

import torch

from forcefree.nn.tensor_block import TensorBlock, block_kinds
from forcefree.nn.tensor_edges import Chunk, neighbourhoods
from forcefree.nn.tensor_irreps import ALL_TENSORS, SCALAR, TRUE_TENSORS, VECTOR, Irrep, row_ranges
from tensors import make_pairs

CHANNELS, HIDDEN = 4, 8


def block(sources: tuple[Irrep, ...], results: tuple[Irrep, ...]) -> TensorBlock:
    torch.manual_seed(0)
    return TensorBlock(CHANNELS, sources, results, 2, 3, HIDDEN).double()


def run(layer: TensorBlock, rows: int, chunk_size: int = 1000) -> torch.Tensor:
    receiver, sender, harmonics, _ = make_pairs([3, 5, 0, 2])
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(4, rows, CHANNELS, generator=generator, dtype=torch.float64)
    radial = torch.randn(len(receiver), 3, generator=generator, dtype=torch.float64)
    basis, angular = (torch.randn(4, width, generator=generator, dtype=torch.float64) for width in (8, 9))
    pairs = neighbourhoods(receiver, sender, harmonics, (radial,), 4, chunk_size)

    def weights(chunk: Chunk) -> torch.Tensor:
        return layer.radial(chunk.radial[0])

    return layer(features, pairs, weights, basis, angular, torch.tensor([0, 1, 1, 0]))


def test_blocks_start_from_true_tensors_and_end_with_vectors() -> None:
    assert block_kinds(3, (VECTOR,)) == [(TRUE_TENSORS, ALL_TENSORS), (ALL_TENSORS, ALL_TENSORS), (ALL_TENSORS, (VECTOR,))]
    assert block_kinds(1, (VECTOR,)) == [(TRUE_TENSORS, (VECTOR,))]


def test_shapes_follow_the_kinds() -> None:
    assert run(block(TRUE_TENSORS, ALL_TENSORS), 9).shape == (4, 18, CHANNELS)
    assert run(block(ALL_TENSORS, ALL_TENSORS), 18).shape == (4, 18, CHANNELS)
    assert run(block(ALL_TENSORS, (VECTOR,)), 18).shape == (4, 3, CHANNELS)


def test_the_last_block_is_a_full_one_without_what_nobody_reads() -> None:
    full, last = block(ALL_TENSORS, ALL_TENSORS), block(ALL_TENSORS, (VECTOR,))
    with torch.no_grad():
        last.radial.load_state_dict(full.radial.state_dict())
        for name, weight in last.update.contraction.weights.items():
            weight.copy_(full.update.contraction.weights[name])
        for name, weight in last.update.residual.linear.weights.items():
            weight.copy_(full.update.residual.linear.weights[name])
        every = [path for paths in full.update.product.paths.values() for path in paths]
        kept = [every.index(path) for paths in last.update.product.paths.values() for path in paths]
        source, target = full.update.product.weights, last.update.product.weights
        for one, other in zip(list(source.parameters())[:-1], list(target.parameters())[:-1], strict=True):
            other.copy_(one)
        target[-1].weight.copy_(source[-1].weight.view(len(every), CHANNELS, HIDDEN)[kept].flatten(0, 1))
        last.update.gate.linear.weights[VECTOR.name].copy_(full.update.gate.linear.weights[VECTOR.name])
        gates = full.update.gate.linear.weights[SCALAR.name]
        last.update.gate.linear.weights[SCALAR.name].copy_(gates[:, CHANNELS : 2 * CHANNELS])
        vectors = row_ranges(ALL_TENSORS)[VECTOR]
        torch.testing.assert_close(run(last, 18), run(full, 18)[:, vectors.start : vectors.stop], rtol=0.0, atol=1e-12)


def test_the_chunks_are_invisible() -> None:
    layer = block(ALL_TENSORS, ALL_TENSORS)
    with torch.no_grad():
        torch.testing.assert_close(run(layer, 18, 1), run(layer, 18), rtol=0.0, atol=1e-12)


def test_variances_neither_explode_nor_vanish() -> None:
    result = run(block(ALL_TENSORS, ALL_TENSORS), 18).detach()
    assert 0.3 < float(result.std()) < 3.0
