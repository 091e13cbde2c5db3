"""What is left of a run that was killed at the worst moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forcefree.data.h5md import read_store, write_store
from forcefree.data.trajectory import Trajectory
from forcefree.reference.checkpoint import FRAMES_PER_CHECKPOINT, frames_done, last_checkpoint, mark_done
from forcefree.reference.config import ReferenceConfig
from forcefree.reference.run import all_runs, record

MakeConfig = Callable[..., ReferenceConfig]
NAME = "run_0000"


@pytest.fixture
def part(make_config: MakeConfig, tmp_path: Path) -> Path:
    """A finished run of 301 frames."""
    path = tmp_path / "parts" / f"{NAME}.h5"
    list(record(all_runs(make_config(timestep=1.0))[0], path))
    return path


def test_a_finished_run_is_kept_whole(part: Path) -> None:
    assert last_checkpoint(NAME, part, 301) == 301
    assert len(next(read_store(part))) == 301


def test_frames_that_were_not_marked_are_cut_off(part: Path) -> None:
    mark_done(part, FRAMES_PER_CHECKPOINT)
    assert last_checkpoint(NAME, part, 301) == FRAMES_PER_CHECKPOINT
    assert len(next(read_store(part))) == FRAMES_PER_CHECKPOINT


@pytest.mark.parametrize("harm", ["truncated", "empty", "text", "no tally", "torn tally"])
def test_what_cannot_be_trusted_is_made_again_and_comes_out_the_same(
    part: Path, make_config: MakeConfig, same: Callable[[Trajectory, Trajectory], bool], harm: str
) -> None:
    whole = next(read_store(part))
    if harm == "truncated":
        part.write_bytes(part.read_bytes()[:1000])
    elif harm == "empty":
        part.write_bytes(b"")
    elif harm == "text":
        part.write_text("not HDF5")
    elif harm == "no tally":
        part.with_suffix(".frames").unlink()
    else:
        part.with_suffix(".frames").write_text("")
    assert last_checkpoint(NAME, part, 301) == 0
    assert not part.exists()
    list(record(all_runs(make_config(timestep=1.0))[0], part))
    assert same(next(read_store(part)), whole)


def test_the_tally_is_read_back_and_missing_means_nothing_done(tmp_path: Path) -> None:
    assert frames_done(tmp_path / "none.h5") == 0
    mark_done(tmp_path / "some.h5", 750)
    assert frames_done(tmp_path / "some.h5") == 750
    assert [path.name for path in tmp_path.iterdir()] == ["some.frames"]


@pytest.mark.parametrize(("tally", "held", "kept"), [(601, 430, 250), (500, 510, 500), (499, 601, 250), (249, 601, 0), (601, 601, 601)])
def test_no_more_is_kept_than_tally_and_file_agree_on(tmp_path: Path, tally: int, held: int, kept: int) -> None:
    """A power cut may keep the tally and lose frames that it counts."""
    path = _part(tmp_path, NAME, held)
    mark_done(path, tally)
    assert last_checkpoint(NAME, path, 601) == kept
    assert path.exists() == (kept > 0)
    if kept:
        np.testing.assert_array_equal(next(read_store(path)).times, np.arange(kept))


def test_the_part_of_another_run_is_not_continued(tmp_path: Path) -> None:
    path = _part(tmp_path, "run_0007", 300)
    mark_done(path, 250)
    assert last_checkpoint(NAME, path, 301) == 0
    assert not path.exists()


def _part(folder: Path, name: str, frames: int) -> Path:
    path = folder / "part.h5"
    write_store(path, [Trajectory(name, np.array([18]), np.array([40.0]), np.arange(frames) * 1.0, np.zeros((frames, 1, 3)))])
    return path
