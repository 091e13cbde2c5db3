"""Text files, plain or gzipped, and whether an XYZ file is complete."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from forcefree.errors import ForcefreeError


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a text file for reading, through gzip where the name ends in ``.gz``.

    Raises:
        ForcefreeError: If what is read is not text or is a truncated gzip file.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            yield file
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise ForcefreeError(f"{path} is not a readable text file ({error}); it may be truncated or binary") from error


def check_xyz(path: Path) -> None:
    """Refuse an XYZ file whose last frame is cut short or that goes on after an empty line, both of which ASE passes over.

    Raises:
        ForcefreeError: With the number of the frame.
    """
    index = 0
    with open_text(path) as file:
        while line := file.readline():
            if not line.strip():
                if file.read().strip():
                    raise ForcefreeError(f"{path} has an empty line after frame {index - 1}; remove it or the frames after it are lost")
                return
            if line.lstrip().startswith("VEC"):
                continue
            if not line.strip().isdigit():
                raise ForcefreeError(
                    f"{path} has '{line.strip()[:40]}' where frame {index} should give its number of atoms; is it complete?"
                )
            file.readline()
            widths = {len(file.readline().split()) for _ in range(int(line))}
            if len(widths) > 1 or 0 in widths:
                raise ForcefreeError(f"{path} is cut short in frame {index}; it may be truncated")
            index += 1
