"""Constants of a module that stay exact in whatever precision the module is moved to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn


class ConstantsModule(nn.Module):
    """A module whose constants are rounded from double precision anew each time it changes precision or device.

    A plain buffer made in single precision would keep its rounding error when the module is moved to double precision, and
    with it an error of 1e-7 in every symmetry.
    """

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, Tensor] = {}

    def keep(self, name: str, value: Tensor) -> None:
        """Register a constant.

        Args:
            name: Attribute under which it is found, in the precision of the module.
            value: float64.
        """
        self._exact[name] = value
        self.register_buffer(name, value.to(torch.get_default_dtype()), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, value in self._exact.items():
            setattr(self, name, value.to(self.get_buffer(name)))
        return self
