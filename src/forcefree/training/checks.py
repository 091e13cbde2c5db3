"""What no training should begin with."""

from __future__ import annotations

from forcefree.cells import check_cell
from forcefree.data.checks import check_finite, check_heat, check_overlaps
from forcefree.data.trajectory import Trajectory
from forcefree.velocities import HOTTEST

_TOO_HOT = 10.0
"""Times the temperature that a run says it was made at; the usual mix-ups of units are a hundred times and more."""

_LOOKS = 1000
"""Frames of a run that are searched for overlaps."""


def check_trajectory(trajectory: Trajectory, cutoff: float) -> None:
    """Refuse a trajectory that nothing can be learnt from.

    Args:
        trajectory: Any.
        cutoff: Å, how far the model will look.

    Raises:
        ForcefreeError: If a position or velocity is not a finite number, atoms overlap, the mean kinetic temperature is
            100000 K or ten times that at which the run was made, or an atom would see its own image.
    """
    check_finite(trajectory)
    check_cell(trajectory.cell, trajectory.pbc, cutoff, f"trajectory '{trajectory.name}'")
    check_overlaps(trajectory, _LOOKS)
    made_at = trajectory.provenance.get("temperature")
    limit = _TOO_HOT * made_at if isinstance(made_at, (int, float)) and made_at > 0.0 else HOTTEST
    check_heat(trajectory, min(HOTTEST, limit))
