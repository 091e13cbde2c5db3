"""``forcefree benchmark forecast`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from forcefree.cli.main import app
from networks import molecular_dynamics, store


def test_held_out_runs_make_a_table(tmp_path: Path) -> None:
    runs = store(tmp_path / "held.h5", molecular_dynamics(2, 120, every=2, ensemble="nve"))
    output = tmp_path / "results" / "forecast.json"
    result = CliRunner().invoke(app, ["benchmark", "forecast", "--held-out", str(runs), "--windows", "4", "--output", str(output)])
    assert result.exit_code == 0, result.stderr
    rows = {row["figure"]: row for row in json.loads(output.read_text(encoding="utf-8"))}
    row = rows["held, 1 fs, quadratic, 4 steps, raw: MAE"]
    assert 0.0 < row["measured"] < 0.5
    assert row["unit"] == "Å"
    assert row["seeds"] == 2


def test_what_cannot_be_done_is_one_sentence(tmp_path: Path) -> None:
    for words, sentence in (
        ([], "nothing to forecast; ask for --lorenz seeds"),
        (["--lorenz", "1", "--model", "nameless"], "a model is given as NAME=FILE"),
        (["--held-out", str(tmp_path / "none.h5")], "none.h5"),
    ):
        result = CliRunner().invoke(app, ["benchmark", "forecast", *words, "--output", str(tmp_path / "f.json")])
        assert result.exit_code == 2
        assert sentence in result.stderr
        assert not (tmp_path / "f.json").exists()
