"""A lock: a piece of work that one process does at a time."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from forcefree.errors import ForcefreeError

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
_TRIES = 10


@contextmanager
def locked(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock file while the work is done; it is gone afterwards, and one that a killed process left holds nobody up.

    Where the file system knows no locks the work is done without one.

    Args:
        path: Lock file, in a folder that exists.
        refusal: What to say where another process holds it.

    Raises:
        ForcefreeError: With the refusal.
        OSError: If the file cannot be made.
    """
    file = _take(path, refusal)
    try:
        yield
    finally:
        with suppress(OSError):
            if _is_at(file, path):
                path.unlink()
        file.close()


def _take(path: Path, refusal: str) -> TextIOWrapper:
    """The open lock file; once more where its last holder took it away between opening and locking."""
    for _ in range(_TRIES):
        file = path.open("a", encoding="utf-8")
        try:
            taken = _lock(file)
        except BaseException:
            file.close()
            raise
        if taken and _is_at(file, path):
            return file
        file.close()
        if not taken:
            break
    raise ForcefreeError(refusal)


def _lock(file: TextIOWrapper) -> bool:
    """Whether the file is ours now; the system lets go of it when the process ends, however it ends."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _is_at(file: TextIOWrapper, path: Path) -> bool:
    """Whether the open file is the one that lies at ``path`` now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
