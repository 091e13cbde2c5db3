"""Linear maps, gates and residuals keep symmetries and follow their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from forcefree.nn.tensor_constants import ConstantsModule
from forcefree.nn.tensor_irreps import ALL_TENSORS, SCALAR, VECTOR, Irrep
from forcefree.nn.tensor_update import ElementResidual, TensorGate, TensorLinear

CHANNELS = 4


def tensors(width: int, kinds: tuple[Irrep, ...] = ALL_TENSORS, n_atoms: int = 5) -> dict[Irrep, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {kind: torch.randn(n_atoms, kind.size, width, generator=generator) for kind in kinds}


def test_linear_maps_act_on_channels_alone() -> None:
    torch.manual_seed(0)
    linear = TensorLinear(dict.fromkeys(ALL_TENSORS, (6, 3)))
    inputs = tensors(6)
    for kind, mapped in linear(inputs).items():
        expected = torch.einsum("nmc,cd->nmd", inputs[kind], linear.weights[kind.name])
        torch.testing.assert_close(mapped, expected)


def test_each_kind_has_its_gate_and_its_nonlinearity() -> None:
    torch.manual_seed(1)
    gate = TensorGate(dict.fromkeys(ALL_TENSORS, 6), ALL_TENSORS, CHANNELS)
    inputs = tensors(6)
    found = gate(inputs)
    mapped = gate.linear(inputs)
    scalars = functional.silu(mapped[SCALAR][:, 0]) * 1.6765
    assert found.shape == (5, 18, CHANNELS)
    torch.testing.assert_close(found[:, 0], scalars[:, :CHANNELS])
    torch.testing.assert_close(found[:, 1], torch.tanh(mapped[Irrep(0, True)][:, 0]) * 1.5927)
    torch.testing.assert_close(found[:, 2:5], mapped[VECTOR] * scalars[:, None, CHANNELS : 2 * CHANNELS])
    torch.testing.assert_close(found[:, 13:], mapped[Irrep(2, True)] * scalars[:, None, 4 * CHANNELS :])


def test_the_constants_of_the_gates_keep_unit_variance() -> None:
    normal = torch.randn(400000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert (1.6765 * functional.silu(normal)).square().mean() == pytest.approx(1.0, abs=5e-3)
    assert (1.5927 * torch.tanh(normal)).square().mean() == pytest.approx(1.0, abs=5e-3)


def test_a_pseudoscalar_changes_its_sign_and_nothing_else() -> None:
    torch.manual_seed(3)
    gate = TensorGate(dict.fromkeys(ALL_TENSORS, 6), ALL_TENSORS, CHANNELS)
    inputs = tensors(6)
    mirrored = {kind: -tensor if kind.pseudo else tensor for kind, tensor in inputs.items()}
    signs = torch.tensor([1.0, -1.0] + [1.0] * 3 + [-1.0] * 3 + [1.0] * 5 + [-1.0] * 5)
    torch.testing.assert_close(gate(mirrored), gate(inputs) * signs[:, None])


def test_vectors_alone_still_get_their_gate() -> None:
    torch.manual_seed(4)
    gate = TensorGate({SCALAR: 5, VECTOR: 6}, (VECTOR,), CHANNELS)
    inputs = {SCALAR: tensors(5)[SCALAR], VECTOR: tensors(6)[VECTOR]}
    assert gate.linear.weights["0e"].shape == (5, CHANNELS)
    assert gate(inputs).shape == (5, 3, CHANNELS)
    assert gate({SCALAR: torch.zeros(5, 1, 5), VECTOR: inputs[VECTOR]}).abs().max() == 0.0


@pytest.mark.parametrize("n_species", [1, 3])
def test_residuals_use_the_matrix_of_the_element(n_species: int) -> None:
    torch.manual_seed(5)
    residual = ElementResidual(n_species, ALL_TENSORS, CHANNELS)
    inputs = tensors(CHANNELS)
    species = torch.tensor([0, 1, 2, 1, 0]) % n_species
    found = residual(inputs, species)
    start = 0
    for kind in ALL_TENSORS:
        matrices = residual.linear.weights[kind.name].view(CHANNELS, n_species, CHANNELS)
        expected = torch.stack([inputs[kind][atom] @ matrices[:, species[atom]] for atom in range(5)])
        torch.testing.assert_close(found[:, start : start + kind.size], expected)
        start += kind.size


def test_constants_are_exact_in_double_precision_after_a_detour_through_single() -> None:
    class Third(ConstantsModule):
        third: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.keep("third", torch.tensor([1.0 / 3.0], dtype=torch.float64))

    module = torch.nn.Sequential(Third())
    assert module[0].third.dtype == torch.float32
    assert module.float().double()[0].third.item() == 1.0 / 3.0
    assert module.half()[0].third.dtype == torch.float16
    assert not module.state_dict()
