"""Velocities of trajectories that recorded none, by central differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forcefree.data.trajectory import Floats, Trajectory
from forcefree.errors import ForcefreeError

_SAME = 1e-3


class CentralDifferences:
    r"""Derive velocities block by block, :math:`v(t) = [x(t + h) - x(t - h)] / 2h`.

    Only frames with both neighbours at the distance h are kept, so the two ends are dropped. A vibration of angular
    frequency w comes out smaller by the factor sin(wh)/(wh).

    Args:
        spacing: h in fs; the first gap between two frames when not given.
    """

    def __init__(self, spacing: float | None = None) -> None:
        self.spacing = spacing
        self._tail: Trajectory | None = None

    def __call__(self, block: Trajectory) -> Trajectory:
        """Continue with the next frames.

        Args:
            block: Frames with unwrapped positions, later than those before.

        Returns:
            The frames whose velocity is known by now, perhaps none, in order.
        """
        joined = block if self._tail is None else join(self._tail, block)
        self._tail = joined.frames(max(0, len(joined) - 2), len(joined))
        gaps = np.diff(joined.times)
        if self.spacing is None and len(gaps):
            self.spacing = float(gaps[0])
        inner = joined.frames(1, max(1, len(joined) - 1))
        if len(inner) == 0:
            return replace(inner, velocities=inner.positions.copy())
        width = joined.times[2:] - joined.times[:-2]
        velocities = (joined.positions[2:] - joined.positions[:-2]) / width[:, None, None]
        near = np.isclose(gaps, float(self.spacing or 0.0), rtol=_SAME, atol=0.0)
        return select(replace(inner, velocities=velocities), np.flatnonzero(near[:-1] & near[1:]))


def kinetic_loss(trajectory: Trajectory) -> float | None:
    r"""Fraction of the kinetic energy, without drift, that central differences at this spacing lose, estimated from the data.

    With differences over 2h and 4h the mean squares are :math:`K (1 - w^2 h^2 / 3)` and :math:`K (1 - 4 w^2 h^2 / 3)` to
    leading order, so a third of their difference is what the finer ones miss. Where frames are so far apart that
    vibrations are not resolved at all, the estimate saturates near 0.25. The comparison is with continuous motion: of a
    velocity Verlet run stored at every step, central differences are the integrator's own velocities.

    Args:
        trajectory: Equally spaced frames with unwrapped positions.

    Returns:
        The fraction, or None with fewer than five frames or unequal spacing.
    """
    if len(trajectory) < 5 or not np.allclose(np.diff(trajectory.times), trajectory.times[1] - trajectory.times[0], rtol=_SAME):
        return None
    mass = trajectory.masses[:, None]
    centre = (mass * trajectory.positions).sum(axis=1, keepdims=True) / mass.sum() if len(mass) > 1 else 0.0
    inner = trajectory.positions - centre
    narrow, wide = (inner[3:-1] - inner[1:-3]) / 2.0, (inner[4:] - inner[:-4]) / 4.0
    fine, coarse = float((mass * narrow**2).sum()), float((mass * wide**2).sum())
    return (fine - coarse) / (3.0 * fine) if fine > 0.0 else 0.0


def join(first: Trajectory, second: Trajectory) -> Trajectory:
    """One trajectory of the frames of both, which must hold the same atoms and quantities.

    Raises:
        ForcefreeError: If the second does not begin after the first ends, or lacks a quantity of the first.
    """
    arrays: dict[str, Floats] = {}
    for key in ("times", "positions", "velocities", "energies", "forces"):
        one, two = getattr(first, key), getattr(second, key)
        if (one is None) != (two is None):
            raise ForcefreeError(f"trajectory '{first.name}' has {key} in some of its frames only; make them alike")
        if one is not None:
            arrays[key] = np.concatenate([one, two])
    return replace(first, **arrays)  # type: ignore[arg-type]


def select(trajectory: Trajectory, chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Trajectory:
    """The same trajectory with only the frames of the increasing indices ``chosen``, shape (n_chosen,)."""
    arrays = {
        key: getattr(trajectory, key)[chosen]
        for key in ("times", "positions", "velocities", "energies", "forces")
        if getattr(trajectory, key) is not None
    }
    return replace(trajectory, **arrays)
