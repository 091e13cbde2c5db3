r"""The STI core alone, on any series, in closed form: fitted to one window of many variables, it forecasts a target several steps ahead.

As in ASTEROID, one primary map F serves all variables: it reads the recent past of a variable and says its delay vector. So a
window of m frames of D variables holds D times as many examples, at states that the target has not been through itself.
F is linear in fixed features, :math:`Y = \Phi A`, and so A can be eliminated. What is left of its ridge regression,

.. math:: J(u) = \sum_r \sigma_r^{-2} \min_A \big( |Y_r(u) - \Phi A_r|^2 + \lambda |A_r|^2 \big) + w_c \sum |G(y(u)) - x|^2,

is a quadratic form in the unknown future u of all variables, over all rows r of the Hankel matrix at once: each unknown stands on one
anti-diagonal and is one number. The second term asks the conjugate map G, fitted to the known delay vectors, to find the past from the
future. u starts at what F says of the last frame and is the minimum of J.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forcefree.benchmark.kernel_features import KernelFeatures, Ridge, chosen_features
from forcefree.nn.hankel import hankel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StiOptions:
    """How the core is fitted to a window.

    Attributes:
        ahead: Values to forecast, L - 1.
        delays: Frames of its past that F sees of a variable.
        shared: One map for all variables; otherwise F reads the whole state x of a frame and knows the target's delay vectors alone.
        components: Principal components of what F and G read.
        resolution: Relative to the standard deviation of the window, below which they do not look.
        landmarks: Kernels of a map.
        consistent: Find the future from all rows at once; otherwise it is what F says of the last frame.
        conjugate_weight: Of the conjugate map, zero to leave it out; it needs ``consistent``.
        iterations: Most steps of the minimisation.
    """

    ahead: int = 15
    delays: int = 6
    shared: bool = True
    components: int = 6
    resolution: float = 1e-4
    landmarks: int = 500
    consistent: bool = True
    conjugate_weight: float = 1.0
    iterations: int = 15


@dataclass(frozen=True)
class Tokens:
    """What the maps are fitted to: every variable at every frame.

    Attributes:
        series: Known values in units of the standard deviation, shape (m, n_series); the target is the first.
        inputs: What F reads, shape (n_rows, n_series, n_inputs); the rows are the last frames of the window.
    """

    series: Tensor
    inputs: Tensor

    @classmethod
    def of(cls, states: Tensor, target: Tensor, options: StiOptions) -> Tokens:
        """Tokens of states (m, D) and a target (m,)."""
        if not options.shared:
            return cls(target[:, None], states[:, None])
        series = torch.cat([target[:, None], states], dim=1)
        return cls(series, hankel(series, options.delays).transpose(1, 2))

    @property
    def present(self) -> Tensor:
        """The value of each token now, shape (n_rows, n_series)."""
        return self.series[-len(self.inputs) :]

    def flat(self, rows: slice) -> Tensor:
        """Inputs of some rows, one token after another."""
        return self.inputs[rows].flatten(0, 1)

    def ahead(self, future: Tensor) -> Tensor:
        """Hankel matrix: change of each token's value in the next frames, shape (n_rows, n_series, ahead)."""
        whole = torch.cat([self.present, future])
        changes: Tensor = (hankel(whole, len(future) + 1)[:, 1:] - self.present[:, None]).transpose(1, 2)
        return changes


def forecast(states: Floats, target: Floats, seed: int, options: StiOptions | None = None) -> Floats:
    """Fit the core to a window and forecast the target.

    Args:
        states: Shape (m, D).
        target: Shape (m,).
        seed: Of the choice of landmarks.
        options: How it is fitted.

    Returns:
        Shape (ahead,), in the unit of the target.
    """
    options = options or StiOptions()
    scale = float(states.std()) + 1e-12
    tokens = Tokens.of(torch.from_numpy(states / scale), torch.from_numpy(target / scale), options)
    generator = torch.Generator().manual_seed(seed)
    complete = slice(0, len(tokens.inputs) - options.ahead)
    unknown = tokens.series.new_zeros(options.ahead, tokens.series.shape[1])
    truth = tokens.ahead(unknown)
    sizes = (options.components, options.resolution, options.landmarks)
    features, ridge = chosen_features(tokens.flat(complete), truth[complete].flatten(0, 1), *sizes, generator)
    values = features(tokens.flat(slice(None))).view(*tokens.inputs.shape[:2], -1)
    changes, variances = [], []
    for lead in range(1, options.ahead + 1):
        seen = slice(0, len(values) - lead)
        fit = Ridge.fit(values[seen].flatten(0, 1), truth[seen, :, lead - 1].reshape(-1, 1), ridge)
        changes.append((values[-1] @ fit.weights)[:, 0])
        variances.append(fit.variance)
    future = tokens.series[-1] + torch.stack(changes)
    if options.consistent:
        mismatch = _conjugate(tokens, truth, features, ridge, options, generator) if options.conjugate_weight else None
        future = _most_consistent(tokens, future, values, ridge, torch.cat(variances), mismatch, options)
    found: Floats = scale * future[:, 0].numpy()
    return found


def _most_consistent(
    tokens: Tokens,
    start: Tensor,
    values: Tensor,
    ridge: float,
    variances: Tensor,
    mismatch: Callable[[Tensor], Tensor] | None,
    options: StiOptions,
) -> Tensor:
    """The future (ahead, n_series) at the minimum of J, by L-BFGS from ``start``; only the last rows of the matrix depend on it."""
    early, late = (values[part].flatten(0, 1) for part in (slice(0, -options.ahead), slice(-options.ahead, None)))
    gram = early.T @ early + late.T @ late + ridge * torch.eye(values.shape[-1], dtype=values.dtype)
    root = torch.linalg.cholesky(gram)
    constant = early.T @ tokens.ahead(start)[: -options.ahead].flatten(0, 1)
    future = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([future], max_iter=options.iterations, history_size=20, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimizer.zero_grad()
        matrix = tokens.ahead(future)[-options.ahead :]
        rows = matrix.flatten(0, 1)
        explained = torch.linalg.solve_triangular(root, constant + late.T @ rows, upper=False)
        total: Tensor = ((rows.square().sum(dim=0) - explained.square().sum(dim=0)) / variances).sum()
        if mismatch is not None:
            total = total + options.conjugate_weight * mismatch(matrix)
        total = total / rows.numel()
        torch.autograd.backward(total)
        return total

    optimizer.step(objective)  # type: ignore[no-untyped-call]
    return future.detach()


def _conjugate(
    tokens: Tokens, truth: Tensor, features: KernelFeatures, ridge: float, options: StiOptions, generator: torch.Generator
) -> Callable[[Tensor], Tensor]:
    """Fit G, as wide as F, to the complete delay vectors.

    Returns:
        What it misses of the past, given the last rows of the matrix, in units of its residuals.
    """
    complete, later = slice(0, len(truth) - options.ahead), slice(len(truth) - options.ahead, None)
    known, past = truth[complete].flatten(0, 1), features.whitened(tokens.flat(complete))
    back = KernelFeatures.of(known, options.components, options.resolution, options.landmarks, features.width, generator)
    fit = Ridge.fit(back(known), past, ridge)
    wanted = features.whitened(tokens.flat(later))

    def mismatch(matrix: Tensor) -> Tensor:
        found = back(matrix.flatten(0, 1)) @ fit.weights
        return ((found - wanted).square() / fit.variance).sum()

    return mismatch
