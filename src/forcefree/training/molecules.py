"""Which molecule a trajectory is of, so that whole molecules can be held out."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError


def molecule_of(trajectory: Trajectory) -> str:
    """The molecule that ``forcefree reference`` was told to start from, or the formula in Hill's order where nothing is known."""
    told = trajectory.provenance.get("molecule")
    return str(told) if told else str(Atoms(trajectory.numbers).get_chemical_formula(mode="hill"))


def without(trajectories: Sequence[Trajectory], excluded: Sequence[str]) -> list[Trajectory]:
    """The trajectories of all other molecules.

    Args:
        trajectories: Of any molecules.
        excluded: Molecules to leave out, called as in :func:`molecule_of`.

    Raises:
        ForcefreeError: If one of them is in no trajectory, so that a misspelt name holds nothing out, or if none is left.
    """
    known = {molecule_of(trajectory) for trajectory in trajectories}
    missing = sorted(set(excluded) - known)
    if missing:
        raise ForcefreeError(f"data.exclude names {missing[0]}, which is no molecule of the data; it has {', '.join(sorted(known)[:8])}")
    kept = [trajectory for trajectory in trajectories if molecule_of(trajectory) not in excluded]
    if not kept:
        raise ForcefreeError("data.exclude leaves no molecule to train on; exclude fewer")
    return kept
