"""How far a run has come: the frames that are safely in its part file, counted beside it."""

from __future__ import annotations

import os
from pathlib import Path

from forcefree.data.h5md import StoreWriter
from forcefree.errors import ForcefreeError

FRAMES_PER_CHECKPOINT = 250


def frames_done(part: Path) -> int:
    """Frames that were flushed to a part file, 0 where nothing is known."""
    try:
        return int(_tally(part).read_text())
    except (FileNotFoundError, ValueError):
        return 0


def mark_done(part: Path, frames: int) -> None:
    """Remember that the first ``frames`` frames of a part file are flushed; a kill leaves the old number or the new."""
    tally = _tally(part)
    fresh = tally.with_suffix(".tally")
    fresh.write_text(str(frames))
    os.replace(fresh, tally)


def last_checkpoint(name: str, part: Path, frames: int) -> int:
    """Cut a part file back to its last checkpoint.

    A file that cannot be read, or that a kill left before its first checkpoint, is removed: the run starts again and,
    as its random numbers depend on nothing else, comes out the same.

    Args:
        name: Name of the run in the file.
        part: The part file, which may not exist.
        frames: Frames of a whole run.

    Returns:
        Frames to keep: a multiple of :data:`FRAMES_PER_CHECKPOINT`, or ``frames``.
    """
    known = frames_done(part)
    if not part.exists():
        return 0
    try:
        with StoreWriter(part, resume=True) as writer:
            known = min(known, writer.length(name))
            done = frames if known >= frames else known - known % FRAMES_PER_CHECKPOINT
            if done:
                writer.truncate(name, done)
    except (ForcefreeError, KeyError, ValueError):
        done = 0
    if done == 0:
        part.unlink(missing_ok=True)
    return done


def _tally(part: Path) -> Path:
    return part.with_suffix(".frames")
