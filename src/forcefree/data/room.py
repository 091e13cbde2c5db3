"""Room on the disk, asked for before HDF5 writes: it cannot recover from a write that fails, and loses the file."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

_AHEAD = 1 << 22
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Room:
    """Space that a growing file is known to find.

    Asking means allocating the bytes in a file beside it and giving them back, which sees a full disk, a quota and a
    limit on the size of files alike. Where a file system cannot allocate, its free space is believed.

    Args:
        path: The growing file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting = 0
        self._granted = 0

    def take(self, size: int) -> None:
        """Make sure that ``size`` more bytes fit, on top of what was taken since the last ``settle``.

        Raises:
            OSError: If they do not; nothing has been written then.
        """
        self._waiting += size
        held = self.path.stat().st_size if self.path.exists() else 0
        if held + self._waiting > self._granted or self._granted == 0:
            self._ask(held, self._waiting + _AHEAD)
            self._granted = held + self._waiting + _AHEAD

    def settle(self) -> None:
        """What was taken is in the file now."""
        self._waiting = 0

    def _ask(self, held: int, size: int) -> None:
        probe = self.path.with_name(f".{self.path.name}.room-{os.getpid()}")
        try:
            with probe.open("wb") as file:
                os.posix_fallocate(file.fileno(), held, size)
        except (AttributeError, OSError) as error:
            code = getattr(error, "errno", None)
            if code not in _FULL and shutil.disk_usage(self.path.parent).free >= size:
                return
            code = code if code in _FULL else errno.ENOSPC
            raise OSError(code, os.strerror(code), str(self.path)) from error
        finally:
            probe.unlink(missing_ok=True)
