"""Rows of a benchmark: printed as a table, saved as JSON beside the others."""

from __future__ import annotations

import json
import math
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import typer


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        figure: What was measured.
        target: What was asked for, as text; empty where nothing was.
        measured: The number; not finite, or None in a file, where it could not be measured.
        unit: Its unit.
        holds: Whether the target is met; None where there is none.
        seeds: Independent trajectories, replicas or seeds behind the number.
        command: What makes it again.
        error: Standard error over the seeds, where there is one.
    """

    figure: str
    target: str
    measured: float | None
    unit: str
    holds: bool | None
    seeds: int
    command: str
    error: float | None = None

    @property
    def verdict(self) -> Literal["holds", "undecided", "missed", ""]:
        """Of the target, if any: undecided where it is missed by less than two standard errors or the judgement was left open."""
        if self.holds is None or not self.target:
            return ""
        if self.holds:
            return "holds"
        if self.measured is None or not math.isfinite(self.measured):
            return "missed"
        sign, limit, *_ = self.target.split()
        room = 2.0 * self.error if self.error is not None and math.isfinite(self.error) else 0.0
        reached = abs(self.measured) - room <= float(limit) if sign == "<=" else self.measured + room >= float(limit)
        return "undecided" if reached else "missed"


class Table:
    """Collects rows, prints them as they come, saves them at the end.

    Args:
        name: File name of the results, without suffix.
        folder: Where the results go.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.rows: list[Row] = []
        program = Path(sys.argv[0])
        words = ["python", f"benchmarks/{program.name}"] if program.suffix == ".py" else ["forcefree"]
        self.command = shlex.join([*words, *sys.argv[1:]])

    def add(
        self,
        figure: str,
        measured: float,
        unit: str,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        seeds: int,
        error: float | None = None,
        holds: bool | None = None,
    ) -> None:
        """Add a figure, with a limit that its absolute value must keep, if any; a verdict given as ``holds`` wins."""
        given = holds
        target = ""
        if at_most is not None:
            target, holds = f"<= {at_most:g} {unit}", abs(measured) <= at_most
        if at_least is not None:
            target, holds = f">= {at_least:g} {unit}", measured >= at_least
        holds = holds if given is None else given
        measured = float(measured) if math.isfinite(measured) else float("nan")
        row = Row(figure, target, measured, unit, holds, seeds, self.command, error)
        self.rows.append(row)
        scatter = f" ± {error:.2g}" if error is not None else ""
        verdict = row.verdict.replace("missed", "MISSED")
        typer.echo(f"{figure:<74} {measured:>11.4g}{scatter:<10} {unit:<14} {target:<20} {verdict}")

    def save(self) -> Path:
        """Write ``NAME.json``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.name}.json"
        values = [{key: None if isinstance(v, float) and math.isnan(v) else v for key, v in asdict(row).items()} for row in self.rows]
        path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        typer.echo(f"saved {path}")
        return path
