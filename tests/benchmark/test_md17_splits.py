"""The published starts, drawn anew, and blocks that no window crosses."""

from __future__ import annotations

import numpy as np
import pytest

from forcefree.benchmark.md17_splits import HORIZON, blocked_split, legacy_split, split_of
from forcefree.errors import ForcefreeError

PUBLISHED = {
    "aspirin": (211762, 19176, 9588, 78845),
    "benzene_old": (627983, 60798, 30399, 45468),
    "ethanol": (555092, 53509, 26754, 72691),
    "malonaldehyde": (993237, 97323, 48661, 864831),
    "naphthalene": (326250, 30624, 15312, 230294),
    "salicylic": (320231, 30023, 15011, 295977),
    "toluene": (442790, 42278, 21139, 152250),
    "uracil": (133770, 11376, 5688, 21338),
}


@pytest.mark.parametrize("molecule", PUBLISHED)
def test_the_published_starts_follow_from_the_length_alone(molecule: str) -> None:
    frames, n_train, n_other, first = PUBLISHED[molecule]
    split = legacy_split(frames)
    assert (len(split.train), len(split.validation), len(split.test)) == (n_train, n_other, n_other)
    assert split.train[0] == first
    everything = np.concatenate([split.train, split.validation, split.test])
    assert len(np.unique(everything)) == len(everything)
    assert everything.min() >= 10_000
    assert everything.max() < frames - 10_001


def test_windows_of_blocks_never_meet() -> None:
    split = blocked_split(200_000)
    assert split.train.max() + HORIZON < split.validation.min()
    assert split.validation.max() + HORIZON < split.test.min()
    assert split.test.max() + HORIZON < 200_000
    assert (len(split.train), len(split.validation), len(split.test)) == (500, 2000, 2000)


def test_unusable_requests_are_sentences() -> None:
    with pytest.raises(ForcefreeError, match="needs more than 20020 frames, not 20000"):
        legacy_split(20_000)
    with pytest.raises(ForcefreeError, match="are too short for windows of 3000"):
        blocked_split(30_000)
    with pytest.raises(ForcefreeError, match="there is no split 'random'; there are legacy, blocked"):
        split_of("random", 100_000)
