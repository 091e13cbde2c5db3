r"""The auto-reservoir network (ARNN), the linearised ancestor of the STI forecasters.

A fixed random network F turns the observed state into features; a linear pair maps features to the delay vector of the target and
back, :math:`A F(x^t) = y^t` and :math:`F(x^t) = B y^t`. B is fitted to known delay vectors, the unknown future values follow from a linear system, and A
gives the forecast, until both agree.

Source: Chen, Liu, Aihara and Chen, Nat. Commun. 11, 4568 (2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forcefree.nn.hankel import unhankel

Floats = NDArray[np.float64]
_WIDTHS = (400, 400, 300, 150)
_GAIN = 2.5


@dataclass(frozen=True)
class ArnnOptions:
    """How an ARNN is fitted.

    Attributes:
        ahead: Values to forecast, L - 1.
        features: Random features used in one fit of B.
        iterations: Most repetitions.
        tolerance: Relative change of the forecast at which they end.
    """

    ahead: int = 4
    features: int = 60
    iterations: int = 200
    tolerance: float = 1e-4


def random_features(states: Floats, rng: np.random.Generator) -> Floats:
    """Outputs of a random tanh network with the same weights at all times, shape (n_times, 150)."""
    values: Floats = (states - states.mean(axis=0)) / (states.std(axis=0) + 1e-12)
    for width in _WIDTHS:
        weights = rng.standard_normal((values.shape[1], width)) / np.sqrt(values.shape[1])
        values = np.tanh(_GAIN * values @ weights)
    return values


def forecast(states: Floats, target: Floats, rng: np.random.Generator, options: ArnnOptions | None = None) -> Floats:
    """Forecast the next values of a target from the observed states.

    Args:
        states: Shape (m, D).
        target: Shape (m,).
        rng: Weights and choices of features.
        options: How it is fitted.

    Returns:
        Shape (ahead,), in the unit of the target.
    """
    options = options or ArnnOptions()
    mean, scale = target.mean(), target.std() + 1e-12
    known = (target - mean) / scale
    features = random_features(states, rng)
    m, length, count = len(known), options.ahead + 1, features.shape[1]
    unknown = np.zeros(options.ahead)
    backward = np.zeros((count, length))
    fitted = np.zeros(count)
    for _ in range(options.iterations):
        matrix = _delay_matrix(np.concatenate([known, unknown]), m, length)
        chosen = rng.permutation(count)[: options.features]
        rows = slice(0, m - options.ahead) if not fitted.any() else slice(None)
        solution = np.linalg.lstsq(matrix[rows], features[rows][:, chosen], rcond=1e-6)[0]
        fitted[chosen] += 1.0
        backward[chosen] += (solution.T - backward[chosen]) / fitted[chosen, None]
        unknown_new = _solve_unknown(known, features, backward, fitted > 0.0, options.ahead)
        whole = _delay_matrix(np.concatenate([known, unknown_new]), m, length)
        left, right = np.concatenate([np.eye(length), whole.T], axis=1), np.concatenate([backward, features.T], axis=1)
        forward = left @ np.linalg.pinv(right, rcond=1e-6)
        smooth = _antidiagonals(features @ forward.T)[m:]
        change = np.linalg.norm(smooth - unknown) / (np.linalg.norm(unknown) + 1e-12)
        unknown = smooth
        if change < options.tolerance:
            break
    found: Floats = mean + scale * unknown
    return found


def _delay_matrix(series: Floats, columns: int, length: int) -> Floats:
    """Delay vector of each observed time, shape (columns, length)."""
    matrix: Floats = np.lib.stride_tricks.sliding_window_view(series, length)[:columns]
    return matrix


def _antidiagonals(matrix: Floats) -> Floats:
    import torch

    series: Floats = unhankel(torch.from_numpy(np.ascontiguousarray(matrix))).numpy()
    return series


def _solve_unknown(known: Floats, features: Floats, backward: Floats, ready: NDArray[np.bool_], ahead: int) -> Floats:
    """Least squares for the future values in ``features[t] = backward @ y^t`` over the last ``ahead`` observed times."""
    m, length = len(known), ahead + 1
    rows, rights = [], []
    for time in range(m - ahead, m):
        seen = min(length, m - time)
        rights.append(features[time, ready] - backward[ready][:, :seen] @ known[time : time + seen])
        block = np.zeros((int(ready.sum()), ahead))
        block[:, : length - seen] = backward[ready][:, seen:]
        rows.append(block)
    solution: Floats = np.linalg.lstsq(np.concatenate(rows), np.concatenate(rights), rcond=1e-6)[0]
    return solution
