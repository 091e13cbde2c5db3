"""The table of :mod:`forcefree.benchmark.table`, for scripts of this folder, whose results lie beside them."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from forcefree.benchmark import table
from forcefree.benchmark.table import Row

RESULTS = Path(__file__).parent / "results"
__all__ = ["RESULTS", "Row", "Table"]


class Table(table.Table):
    """A table that is saved to ``benchmarks/results``.

    Args:
        name: File name of the results, without suffix.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, RESULTS)
