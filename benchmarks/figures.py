"""Put the saved results into the documents: ``python benchmarks/figures.py`` after the benchmarks have been run.

``docs/figures.md`` gets every figure that has a target, the README how many of each benchmark hold.
"""

from __future__ import annotations

import json
from pathlib import Path

from forcefree.benchmark.table import Row

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
VERDICTS = ("holds", "undecided", "missed")


def cell(row: Row) -> str:
    """The measured value with its error and unit."""
    value = "not measured" if row.measured is None else f"{row.measured:.3g}"
    error = f" ± {row.error:.1g}" if row.error else ""
    return f"{value}{error} {row.unit}".strip()


def line(name: str, row: Row) -> str:
    """One figure as a row of a table."""
    return f"| {name} | {row.figure} | {row.target.strip()} | {cell(row)} | {row.verdict.replace('missed', '**missed**')} |"


def put(path: Path, lines: list[str]) -> None:
    """Write lines between the two marks of a document."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8")


def main() -> None:
    head = ["| results | figure | target | measured | |", "|---|---|---|---|---|"]
    counts = ["| results | hold | undecided | missed |", "|---|--:|--:|--:|"]
    every = []
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        rows = [Row(**values) for values in json.loads(path.read_text(encoding="utf-8")) if values["holds"] is not None]
        if not rows:
            continue
        found = [row.verdict for row in rows]
        counts.append(f"| {path.stem} | " + " | ".join(str(found.count(each)) for each in VERDICTS) + " |")
        every += [line(path.stem, row) for row in rows]
    put(ROOT / "docs" / "figures.md", head + every)
    put(ROOT / "README.md", counts)
    print(f"{len(every)} figures with a target")


if __name__ == "__main__":
    main()
