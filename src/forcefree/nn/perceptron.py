"""The small multilayer perceptron that weights, gates and filters are made of."""

from __future__ import annotations

from itertools import pairwise

from torch import nn


def perceptron(*widths: int, bias: bool = True) -> nn.Sequential:
    """Linear layers of the given widths with SiLU between them, none after the last.

    Args:
        widths: Input width, hidden widths, output width; at least two numbers.
        bias: Give every layer a bias.
    """
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        if index:
            layers.append(nn.SiLU())
        layers.append(nn.Linear(inputs, outputs, bias=bias))
    return nn.Sequential(*layers)
