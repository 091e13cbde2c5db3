"""Features brought to order one, smoothly and without a direction."""

from __future__ import annotations

from torch import Tensor


def softly_normalised(scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    r"""Divide an atom's scalars and vectors each by :math:`\sqrt{1 + \overline{x^2}}`, the mean over its channels.

    Gated updates multiply features with features, so that without a bound they grow from block to block; small features
    pass unchanged and an atom without any keeps none.

    Args:
        scalars: Shape (..., channels).
        vectors: Shape (..., 3, channels).

    Returns:
        Both in the same shapes.
    """
    size = (1.0 + scalars.square().mean(dim=-1, keepdim=True)).rsqrt()
    length = (1.0 + vectors.square().sum(dim=-2, keepdim=True).mean(dim=-1, keepdim=True)).rsqrt()
    return scalars * size, vectors * length
