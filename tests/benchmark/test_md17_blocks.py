"""MD17 files cut in time: nothing of the test parts is within reach of the training part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forcefree.benchmark.md17_blocks import GAP, cut, read_whole, write_blocks
from forcefree.data.h5md import read_store
from forcefree.errors import ForcefreeError


def md17(folder: Path, frames: int = 10_000, **more: object) -> Path:
    """Two atoms whose first coordinate is t^2 (Å, fs^2) and whose distance is constant."""
    path = folder / "md17_pair.npz"
    times = 0.5 * np.arange(frames)
    positions = np.zeros((frames, 2, 3))
    positions[..., 0] = times[:, None] ** 2
    positions[:, 1, 1] = 1.0
    np.savez(path, R=positions, z=np.array([8, 1]), **more)
    return path


def test_velocities_are_central_differences(tmp_path: Path) -> None:
    whole = read_whole(md17(tmp_path, 200))
    assert whole.velocities is not None
    np.testing.assert_allclose(whole.velocities[:, 0, 0], 2.0 * whole.times, rtol=1e-12)  # exact for a parabola
    assert len(whole) == 198
    assert whole.name == "pair"


def test_a_surrogate_is_called_one(tmp_path: Path) -> None:
    training, test = write_blocks(md17(tmp_path, surrogate=np.array("on a field")), tmp_path)
    assert (training.name, test.name) == ("surrogate-pair-training.h5", "surrogate-pair-test.h5")
    assert next(read_store(test)).provenance["level_of_theory"] == "on a field"


def test_every_test_part_is_a_gap_away_from_all_else(tmp_path: Path) -> None:
    whole = read_whole(md17(tmp_path))
    training, parts = cut(whole)
    assert len(training) == round(0.85 * len(whole))
    assert len(parts) == 3
    ends = [training.times[-1], *(part.times[-1] for part in parts)]
    for end, part in zip(ends[:-1], parts, strict=True):
        assert part.times[0] - end >= GAP
    assert parts[-1].times[-1] == whole.times[-1]


def test_stores_that_are_there_stay(tmp_path: Path) -> None:
    first = write_blocks(md17(tmp_path), tmp_path)
    before = [store.stat().st_mtime_ns for store in first]
    assert write_blocks(tmp_path / "md17_pair.npz", tmp_path) == first
    assert [store.stat().st_mtime_ns for store in first] == before


def test_what_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match=r"1998 frames of pair are too few for 3 test parts with gaps of 100 fs"):
        cut(read_whole(md17(tmp_path, 2000)))
    with pytest.raises(ForcefreeError, match=r"nowhere\.npz does not exist"):
        read_whole(tmp_path / "nowhere.npz")
    np.savez(tmp_path / "md17_bad.npz", R=np.full((10, 2, 3), np.nan), z=np.array([8, 1]))
    with pytest.raises(ForcefreeError, match="is damaged"):
        read_whole(tmp_path / "md17_bad.npz")
