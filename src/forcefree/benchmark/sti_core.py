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
        ridge: Penalty of the regression at which the primary map starts.
        known_weight: Of the known entries.
        consistency_weight: Of the agreement along anti-diagonals.
        conjugate_weight: Of the recovered state.
    """

    ahead: int = 15
    channels: int = 64
    steps: int = 60
    learning_rate: float = 1e-3
    ridge: float = 3.0
    known_weight: float = 1.0
    consistency_weight: float = 1.0
    conjugate_weight: float = 0.3


class StiCore(nn.Module):
    """Primary and conjugate map of one window.

    Delay vectors are counted from the present value of the target, as departures from free flight are for molecules.
    A window has fewer frames than the state has variables, so the primary map starts where it is well posed: at the ridge
    regression of the known entries, with a causal Transformer beside it that starts silent.

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
        self.linear = nn.Linear(variables, length)
        self.out = nn.Linear(channels, length, bias=False)
        nn.init.zeros_(self.out.weight)
        self.conjugate = perceptron(length, channels, channels, variables)

    def start(self, states: Tensor, truth: Tensor, seen: Tensor, ridge: float) -> None:
        """Set the linear part to the ridge regression of the known entries of each row of the Hankel matrix.

        Args:
            states: Shape (m, D).
            truth: Delay vectors, shape (m, L).
            seen: Which of their entries are known, shape (m, L).
            ridge: Penalty on the weights.
        """
        with torch.no_grad():
            for lead in range(truth.shape[1]):
                rows = seen[:, lead]
                inputs, mean = states[rows], truth[rows, lead].mean()
                gram = inputs @ inputs.T + ridge * torch.eye(len(inputs))
                self.linear.weight[lead] = inputs.T @ torch.linalg.solve(gram, truth[rows, lead] - mean)
                self.linear.bias[lead] = mean

    def forward(self, states: Tensor) -> Tensor:
        """Delay vectors (m, L) of states (m, D); none knows of a later state."""
        tokens = torch.tanh(self.into(states))
        later = torch.ones(len(tokens), len(tokens), dtype=torch.bool).triu(1)
        heard, _ = self.attention(tokens, tokens, tokens, attn_mask=later, need_weights=False)
        tokens = self.norms[0](tokens + heard)
        delay: Tensor = self.linear(states) + self.out(self.norms[1](tokens + self.mix(tokens)))
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
    seen, present = known(m, length), padded[:m, None]
    truth = hankel(padded, length) - present
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        core = StiCore(inputs.shape[1], length, options.channels)
    core.start(inputs, truth, seen, options.ridge)
    optimizer = torch.optim.Adam(core.parameters(), lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    for _ in range(options.steps):
        optimizer.zero_grad()
        delay = core(inputs)
        loss = options.known_weight * (delay - truth)[seen].square().mean()
        loss = loss + options.consistency_weight * inconsistency(present + delay, m)
        loss = loss + options.conjugate_weight * (core.conjugate(delay) - inputs).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        series: Floats = unhankel(present + core(inputs))[m:].double().numpy()
    return mean + scale * series
