"""Held-out data: whole molecules, whole trajectories, or the end of each after a gap."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.training.config import DataConfig
from forcefree.training.molecules import molecule_of


def split(trajectories: Sequence[Trajectory], config: DataConfig, seed: int) -> tuple[list[Trajectory], list[Trajectory]]:
    """Separate training from validation data.

    Args:
        trajectories: All of them.
        config: Kind of split, fraction and gap.
        seed: Which trajectories are held out; molecules are by their name alone, so that a model trained further, with more
            molecules or another seed, is never judged on one that it has learnt.

    Returns:
        Training and validation trajectories; with ``split: time`` each trajectory appears in both with its own part.

    Raises:
        ForcefreeError: If there are too few trajectories or frames.
    """
    if config.split == "time":
        parts = [_by_time(trajectory, config) for trajectory in trajectories]
        return [early for early, _ in parts], [late for _, late in parts]
    if config.split == "molecule":
        return _by_molecule(trajectories, config)
    if len(trajectories) < 2:
        raise ForcefreeError(
            f"a split by trajectory needs at least two trajectories, not {len(trajectories)}; add runs or set data.split to time"
        )
    late = _chosen(len(trajectories), config, seed)
    return [t for i, t in enumerate(trajectories) if i not in late], [t for i, t in enumerate(trajectories) if i in late]


def _by_molecule(trajectories: Sequence[Trajectory], config: DataConfig) -> tuple[list[Trajectory], list[Trajectory]]:
    molecules = sorted({molecule_of(trajectory) for trajectory in trajectories}, key=_place)
    if len(molecules) < 2:
        raise ForcefreeError(
            f"a split by molecule needs at least two molecules, not {', '.join(molecules)} alone; set data.split to trajectory"
        )
    late = [molecule for molecule in molecules if _place(molecule) < config.validation_fraction] or molecules[:1]
    late = late[: len(molecules) - 1]
    return [t for t in trajectories if molecule_of(t) not in late], [t for t in trajectories if molecule_of(t) in late]


def _place(molecule: str) -> float:
    """A number in [0, 1) that depends on nothing but the name."""
    return int.from_bytes(hashlib.sha256(f"held out {molecule}".encode()).digest()[:8], "big") / 2.0**64


def _chosen(count: int, config: DataConfig, seed: int) -> set[int]:
    """Which of ``count`` things are held out."""
    held_out = min(max(1, round(config.validation_fraction * count)), count - 1)
    order = np.random.Generator(np.random.Philox(key=[seed, 1 << 40])).permutation(count)
    return set(order[:held_out].tolist())


def _by_time(trajectory: Trajectory, config: DataConfig) -> tuple[Trajectory, Trajectory]:
    frames = len(trajectory)
    gap = round(config.gap / trajectory.spacing)
    late = round(config.validation_fraction * frames)
    early = frames - late - gap
    if early < 2 or late < 2:
        raise ForcefreeError(
            f"trajectory '{trajectory.name}' with {frames} frames is too short for a validation fraction of "
            f"{config.validation_fraction:g} and a gap of {config.gap:g} fs"
        )
    return trajectory.frames(0, early), trajectory.frames(early + gap, frames)
