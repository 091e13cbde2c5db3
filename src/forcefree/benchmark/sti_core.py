"""The STI core alone, on any series: fitted to one window of many variables, it forecasts a target several steps ahead.

A causal Transformer over time is the primary map F from states to delay vectors, a pointwise network the conjugate map G back. Three losses, as in
ASTEROID: known entries of the Hankel matrix, agreement along its anti-diagonals, and the state recovered from its delay vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forcefree.nn.hankel import hankel, inconsistency, known, unhankel
from forcefree.nn.perceptron import perceptron

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StiOptions:
    """How the core is fitted to a window.

    Attributes:
        ahead: Values to forecast, L - 1.
        channels: Width.
        steps: Optimizer steps.
        learning_rate: Of Adam, at the start of a cosine.
        known_weight: Of the known entries.
        consistency_weight: Of the agreement along anti-diagonals.
        conjugate_weight: Of the recovered state.
    """

    ahead: int = 15
    channels: int = 64
    steps: int = 300
    learning_rate: float = 3e-3
    known_weight: float = 1.0
    consistency_weight: float = 1.0
    conjugate_weight: float = 0.3


class StiCore(nn.Module):
    """Primary and conjugate map of one window.

    Args:
        variables: D, of the observed state.
        length: L, of a delay vector.
        channels: Width.
    """

    def __init__(self, variables: int, length: int, channels: int) -> None:
        super().__init__()
        self.into = nn.Linear(variables, channels)
        self.attention = nn.MultiheadAttention(channels, 4)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.mix = perceptron(channels, 2 * channels, channels)
        self.out = nn.Linear(channels, length)
        self.conjugate = perceptron(length, channels, channels, variables)

    def forward(self, states: Tensor) -> Tensor:
        """Delay vectors (m, L) of states (m, D); none knows of a later state."""
        tokens = torch.tanh(self.into(states))
        later = torch.ones(len(tokens), len(tokens), dtype=torch.bool).triu(1)
        heard, _ = self.attention(tokens, tokens, tokens, attn_mask=later, need_weights=False)
        tokens = self.norms[0](tokens + heard)
        delay: Tensor = self.out(self.norms[1](tokens + self.mix(tokens)))
        return delay


def forecast(states: Floats, target: Floats, seed: int, options: StiOptions | None = None) -> Floats:
    """Fit the core to a window and forecast the target.

    Args:
        states: Shape (m, D).
        target: Shape (m,).
        seed: Of the weights.
        options: How it is fitted.

    Returns:
        Shape (ahead,), in the unit of the target.
    """
    options = options or StiOptions()
    m, length = len(target), options.ahead + 1
    mean, scale = float(target.mean()), float(target.std()) + 1e-12
    inputs = torch.from_numpy((states - states.mean(axis=0)) / (states.std(axis=0) + 1e-12)).float()
    padded = torch.nn.functional.pad(torch.from_numpy((target - mean) / scale).float(), (0, length - 1))
    truth, seen = hankel(padded, length), known(m, length)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        core = StiCore(inputs.shape[1], length, options.channels)
    optimizer = torch.optim.Adam(core.parameters(), lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    for _ in range(options.steps):
        optimizer.zero_grad()
        delay = core(inputs)
        loss = options.known_weight * (delay - truth)[seen].square().mean()
        loss = loss + options.consistency_weight * inconsistency(delay, m)
        loss = loss + options.conjugate_weight * (core.conjugate(delay) - inputs).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        series: Floats = unhankel(core(inputs))[m:].double().numpy()
    return mean + scale * series
