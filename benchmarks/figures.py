"""Put the saved results into the README: ``python benchmarks/figures.py`` after the benchmarks have been run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"


def cell(row: dict[str, Any]) -> str:
    """The measured value with its error and unit."""
    value = "not measured" if row["measured"] is None else f"{row['measured']:.3g}"
    error = f" ± {row['error']:.1g}" if row.get("error") else ""
    return f"{value}{error} {row['unit']}"


def verdict(row: dict[str, Any]) -> str:
    """``holds``, ``missed``, or ``undecided`` where the target lies within two standard errors or the judgement was left open."""
    if row["holds"]:
        return "holds"
    sign, limit, *_ = row["target"].split()
    if sign == "<=" and row["measured"] is not None and abs(row["measured"]) - 2.0 * (row.get("error") or 0.0) <= float(limit):
        return "undecided"
    return "**missed**"


def main() -> None:
    lines = ["| results | figure | target | measured | |", "|---|---|---|---|---|"]
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        rows = [row for row in json.loads(path.read_text(encoding="utf-8")) if row["holds"] is not None]
        lines += [f"| {path.stem} | {row['figure']} | {row['target']} | {cell(row)} | {verdict(row)} |" for row in rows]
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8")
    print(f"{len(lines) - 2} figures with a target are in {readme}")


if __name__ == "__main__":
    main()
