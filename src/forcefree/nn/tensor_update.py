"""What happens to one atom's tensors between products: linear maps, gates, and a residual per element."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from forcefree.nn.tensor_irreps import SCALAR, Irrep

_SILU_GAIN, _TANH_GAIN = 1.6765, 1.5927  # inverse root mean squares for a standard normal variable


class TensorLinear(nn.Module):
    """One matrix per kind of tensor, applied to the channels alone.

    Args:
        widths: Input and output channels of each kind.
        gain: Root mean square of the outputs at the start, for inputs of unit variance.
    """

    def __init__(self, widths: dict[Irrep, tuple[int, int]], gain: float = 1.0) -> None:
        super().__init__()
        self.weights = nn.ParameterDict(
            {kind.name: nn.Parameter(torch.randn(size) * (gain / math.sqrt(size[0]))) for kind, size in widths.items()}
        )

    def forward(self, tensors: dict[Irrep, Tensor]) -> dict[Irrep, Tensor]:
        """Map each kind's (n_atoms, size, inputs) to (n_atoms, size, outputs)."""
        return {
            kind: (tensor.reshape(-1, tensor.shape[-1]) @ self.weights[kind.name]).view(*tensor.shape[:2], -1)
            for kind, tensor in tensors.items()
        }


class TensorGate(nn.Module):
    """A linear map, then SiLU and tanh for scalars and pseudoscalars and a gate SiLU(scalar) for each channel of the rest.

    Args:
        widths: Input channels of each kind; true scalars among them feed the gates.
        results: Kinds to keep, in the order of their rows.
        channels: Features of each kind.
    """

    def __init__(self, widths: dict[Irrep, int], results: tuple[Irrep, ...], channels: int) -> None:
        super().__init__()
        self._results, self._channels = results, channels
        gated = sum(kind.order > 0 for kind in results)
        outputs = dict.fromkeys(results, channels)
        outputs[SCALAR] = channels * (gated + (SCALAR in results))
        self.linear = TensorLinear({kind: (widths[kind], width) for kind, width in outputs.items()})

    def forward(self, tensors: dict[Irrep, Tensor]) -> Tensor:
        """Features of shape (n_atoms, rows, channels) from each kind's (n_atoms, size, inputs)."""
        mapped = self.linear({kind: tensors[kind] for kind in {SCALAR: None} | dict.fromkeys(self._results)})
        scalars = list(torch.split(_SILU_GAIN * nn.functional.silu(mapped[SCALAR]), self._channels, dim=-1))
        rows = []
        for kind in self._results:
            if kind == SCALAR:
                rows.append(scalars.pop(0))
            elif kind.order == 0:
                rows.append(_TANH_GAIN * torch.tanh(mapped[kind]))
            else:
                rows.append(mapped[kind] * scalars.pop(0))
        return torch.cat(rows, dim=1)


class ElementResidual(nn.Module):
    """A matrix per element and kind of tensor.

    Args:
        n_species: Elements that the model knows.
        kinds: Kinds to map.
        channels: Features of each kind.
    """

    def __init__(self, n_species: int, kinds: tuple[Irrep, ...], channels: int) -> None:
        super().__init__()
        self._n_species, self._channels = n_species, channels
        self.linear = TensorLinear(dict.fromkeys(kinds, (channels, n_species * channels)))

    def forward(self, tensors: dict[Irrep, Tensor], species: Tensor) -> Tensor:
        """Features (n_atoms, rows, channels) from each kind's (n_atoms, size, channels) and each atom's element (n_atoms,)."""
        mapped = torch.cat(list(self.linear(tensors).values()), dim=1)
        if self._n_species == 1:
            return mapped
        choice = species[:, None, None, None].expand(-1, mapped.shape[1], 1, self._channels)
        return mapped.view(*mapped.shape[:2], self._n_species, self._channels).gather(2, choice)[:, :, 0]
