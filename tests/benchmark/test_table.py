"""Rows of a benchmark: verdicts, and files that can be read again."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from forcefree.benchmark.table import Row, Table


@pytest.mark.parametrize(
    ("measured", "limits", "holds", "target"),
    [
        (1.0, {}, None, ""),
        (2.0, {"at_most": 2.0}, True, "<= 2 %"),
        (-2.1, {"at_most": 2.0}, False, "<= 2 %"),
        (10.0, {"at_least": 10.0}, True, ">= 10 %"),
        (-11.0, {"at_least": 10.0}, False, ">= 10 %"),
        (math.nan, {"at_most": 2.0}, False, "<= 2 %"),
        (math.inf, {"at_least": 2.0}, True, ">= 2 %"),
        (1.0, {"at_most": 2.0, "holds": False}, False, "<= 2 %"),
    ],
)
def test_a_limit_is_kept_or_missed(tmp_path: Path, measured: float, limits: dict[str, float], holds: bool | None, target: str) -> None:
    table = Table("t", tmp_path)
    table.add("x", measured, "%", seeds=1, **limits)  # type: ignore[arg-type]
    assert (table.rows[0].holds, table.rows[0].target) == (holds, target)


@pytest.mark.parametrize(
    ("measured", "target", "error", "holds", "verdict"),
    [
        (1.0, "", None, None, ""),
        (1.0, "<= 2 %", None, True, "holds"),
        (-2.5, "<= 2 %", 0.3, False, "undecided"),
        (-2.5, "<= 2 %", 0.2, False, "missed"),
        (2.5, "<= 2 %", math.nan, False, "missed"),
        (1.9, "<= 2 %", None, False, "undecided"),
        (None, "<= 2 %", 0.3, False, "missed"),
        (math.nan, "<= 2 %", 0.3, False, "missed"),
        (9.0, ">= 10 x", 0.6, False, "undecided"),
        (9.0, ">= 10 x", 0.4, False, "missed"),
    ],
)
def test_a_target_within_two_standard_errors_is_undecided(
    measured: float | None, target: str, error: float | None, holds: bool | None, verdict: str
) -> None:
    assert Row("x", target, measured, "%", holds, 4, "command", error).verdict == verdict


def test_what_is_printed_says_what_was_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("t", tmp_path)
    table.add("drift", 3.0, "meV", at_most=2.0, seeds=4, error=0.123)
    table.add("speed", 3.0, "x", at_least=2.0, seeds=1)
    missed, held = capsys.readouterr().out.splitlines()
    assert missed.split() == ["drift", "3", "±", "0.12", "meV", "<=", "2", "meV", "MISSED"]
    assert held.split()[-1] == "holds"


def test_a_file_has_every_row_in_valid_json_and_the_command_that_makes_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/forcefree", "benchmark", "materials", "my water"])
    table = Table("t", tmp_path / "new" / "folder")
    for value in (1.5, math.nan, math.inf):
        table.add("x", value, "Å", seeds=3, error=math.nan)
    rows = json.loads(table.save().read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert [row["measured"] for row in rows] == [1.5, None, None]
    assert [row["error"] for row in rows] == [None] * 3
    assert rows[0]["unit"] == "Å"
    assert rows[0]["command"] == "forcefree benchmark materials 'my water'"
