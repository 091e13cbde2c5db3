"""Start frames of the MD17 protocol: the published random ones, and blocks in time that no window crosses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forcefree.errors import ForcefreeError

HORIZON = 3000
"""Frames from a start to its last possible target."""

COUNTS = (500, 2000, 2000)
"""Starts used for training, validation and test."""

_MARGIN = 10_000
_SEED = 100
_BLOCKS = (0.7, 0.15, 0.15)

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Start frames.

    Attributes:
        train: Shape (n_train,).
        validation: Shape (n_validation,).
        test: Shape (n_test,).
    """

    train: Indices
    validation: Indices
    test: Indices


def legacy_split(frames: int) -> Split:
    """The published starts, all of them; they are a function of the length of the trajectory alone.

    Starts are drawn at random from the whole trajectory but its first and last 10,000 frames, so that nearly every test
    window overlaps a training window: a benchmark of interpolation.

    Args:
        frames: Length of the trajectory.

    Raises:
        ForcefreeError: If it is too short.
    """
    pool = frames - 1 - 2 * _MARGIN
    if pool < 20:
        raise ForcefreeError(f"the published split needs more than {2 * _MARGIN + 20} frames, not {frames}")
    rng = np.random.RandomState(_SEED)  # the generator that the published split was drawn with
    left = np.arange(pool)
    parts = []
    for share in (0.1, 0.05, 0.05):
        chosen = rng.choice(left, int(share * pool), replace=False)
        left = np.setdiff1d(left, chosen)
        parts.append(chosen + _MARGIN)
    return Split(*parts)


def blocked_split(frames: int) -> Split:
    """Starts in three contiguous blocks of 70, 15 and 15 % with a gap of one horizon between them.

    Every window lies inside its block, so that what is tested comes after all that was trained on.

    Args:
        frames: Length of the trajectory.

    Raises:
        ForcefreeError: If a block would be shorter than a window.
    """
    edges = (np.cumsum((0.0, *_BLOCKS)) * frames).astype(int)
    rng = np.random.default_rng(_SEED)
    parts = []
    for index, count in enumerate(COUNTS):
        first, end = edges[index] + (HORIZON if index else 0), edges[index + 1] - HORIZON - 1
        if end - first < 100:
            raise ForcefreeError(f"blocks of a trajectory of {frames} frames are too short for windows of {HORIZON}; use a longer one")
        parts.append(rng.choice(np.arange(first, end), min(count, end - first), replace=False))
    return Split(*parts)


def split_of(kind: str, frames: int) -> Split:
    """The starts of a kind of split, ``legacy`` or ``blocked``, as many as the protocol uses.

    Raises:
        ForcefreeError: If there is no such split, or the trajectory is too short.
    """
    kinds = {"legacy": legacy_split, "blocked": blocked_split}
    if kind not in kinds:
        raise ForcefreeError(f"there is no split '{kind}'; there are {', '.join(kinds)}")
    split = kinds[kind](frames)
    return Split(split.train[: COUNTS[0]], split.validation[: COUNTS[1]], split.test[: COUNTS[2]])
