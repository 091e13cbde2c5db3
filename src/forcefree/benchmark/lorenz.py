r"""Coupled Lorenz systems, the standard test of forecasts from short windows of many variables.

:math:`\dot x_i = \sigma (y_i - x_i) + c\, x_{i-1},\; \dot y_i = \rho x_i - y_i - x_i z_i,\; \dot z_i = -\beta z_i + x_i y_i` on a ring; thirty of them have 90 variables.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SIGMA, RHO, BETA, COUPLING = 10.0, 28.0, 8.0 / 3.0, 0.1
_SUBSTEPS = 20
_TRANSIENT = 2000


def coupled_lorenz(frames: int, seed: int, *, systems: int = 30, spacing: float = 0.02) -> Floats:
    """A trajectory on the attractor, by the classical Runge-Kutta method.

    Args:
        frames: Rows of the result.
        seed: Of the start.
        systems: Lorenz systems in the ring.
        spacing: Time between rows.

    Returns:
        Shape (frames, 3 systems), the variables of one system side by side.
    """
    state = np.random.default_rng(seed).normal(size=(systems, 3))
    step = spacing / _SUBSTEPS
    kept = []
    for count in range(_TRANSIENT + frames):
        if count >= _TRANSIENT:
            kept.append(state.reshape(-1).copy())
        for _ in range(_SUBSTEPS if count >= _TRANSIENT else 1):
            state = _runge_kutta(state, step if count >= _TRANSIENT else spacing / 2.0)
    return np.stack(kept)


def _runge_kutta(state: Floats, step: float) -> Floats:
    first = _slope(state)
    second = _slope(state + 0.5 * step * first)
    third = _slope(state + 0.5 * step * second)
    last = _slope(state + step * third)
    return state + step / 6.0 * (first + 2.0 * second + 2.0 * third + last)


def _slope(state: Floats) -> Floats:
    x, y, z = state.T
    rate = [SIGMA * (y - x) + COUPLING * np.roll(x, 1), RHO * x - y - x * z, x * y - BETA * z]
    return np.stack(rate, axis=1)
