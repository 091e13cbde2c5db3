"""Write an analysis to a directory: numbers as JSON, pictures as PNG, and one HTML page that needs nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from forcefree.analysis.result import Analysis
from forcefree.errors import ForcefreeError
from forcefree.report.movie import clips
from forcefree.report.page import render
from forcefree.report.plots import draw


def write_report(analysis: Analysis, directory: Path | str) -> Path:
    """Write ``report.json``, ``plots/*.png`` and ``report.html``; earlier ones in the directory are replaced.

    Args:
        analysis: What to report; its two stores must still be there for the 3-D clips.
        directory: Made if it does not exist.

    Returns:
        Path of the page.

    Raises:
        ForcefreeError: If the directory cannot be written, or a store has gone.
    """
    folder = Path(directory)
    images = draw(analysis)
    page = render(analysis, images, clips(analysis))
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        for name, image in images.items():
            _replace(folder / "plots" / f"{name}.png", image)
        _replace(folder / "report.json", analysis.model_dump_json(indent=1).encode())
        _replace(folder / "report.html", page.encode())
    except OSError as error:
        raise ForcefreeError(
            f"the report cannot be written to {folder}: {error.strerror or error}; free space or choose another folder"
        ) from error
    return folder / "report.html"


def _replace(path: Path, content: bytes) -> None:
    """Put a whole file in place at once, so that a full disk never leaves half a report."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
