"""The forecast benchmark: groups, models by name, and a true window read as one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from forcefree.benchmark.forecast import Iterated
from forcefree.benchmark.forecast_run import ForecastProtocol, named_models, read_window, run_forecast
from forcefree.benchmark.free_flight import FreeFlight
from forcefree.benchmark.table import Table
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.training.windows import window_source
from networks import molecular_dynamics, store


def figures(folder: Path) -> dict[str, float]:
    rows = json.loads((folder / "t.json").read_text(encoding="utf-8"))
    return {row["figure"]: row["measured"] for row in rows}


def test_held_out_runs_are_forecast_by_everybody(tmp_path: Path) -> None:
    runs = molecular_dynamics(4, 120, every=2, ensemble="nve")
    held_out, training = store(tmp_path / "held.h5", runs[:3]), store(tmp_path / "training.h5", runs[3:])
    protocol = ForecastProtocol(held_out=held_out, training=(training,), models=(), windows=8, costly=1, normal_modes=False)
    run_forecast(protocol, Table("t", tmp_path))
    found = figures(tmp_path)
    assert any("ARNN" in name for name in found)
    assert not any("normal modes" in name for name in found), "GFN2-xTB knows nothing of these springs"
    ends = {name: found[f"held, 1 fs, {name}, 8 steps, raw: MAE"] for name in ("copy last", "ballistic", "ridge autoregression")}
    assert ends["ridge autoregression"] < ends["ballistic"]
    assert found["held, 1 fs, copy last, 4 steps, raw: MAE"] < ends["copy last"], "errors grow with time"
    assert found["held, 1 fs, copy last, 8 steps, aligned: RMSE"] <= found["held, 1 fs, copy last, 8 steps, raw: RMSE"]


def window(path: Path, **changes: object) -> Path:
    arrays = {"pos": np.random.default_rng(0).normal(size=(200, 2, 3)), "vel": np.zeros((200, 2, 3)), "Z": np.array([8, 1]), "dt": 0.5}
    np.savez(path, **{key: value for key, value in (arrays | changes).items() if value is not None})
    return path


def test_a_window_is_thinned_to_the_spacing_asked_for(tmp_path: Path) -> None:
    path = window(tmp_path / "w.npz")
    assert len(read_window(path, 0.5)) == 200
    thin = read_window(path, 2.0)
    assert thin.times.tolist() == [2.0 * frame for frame in range(50)]
    np.testing.assert_array_equal(thin.positions[1], read_window(path, 0.5).positions[4])


@pytest.mark.parametrize(
    ("changes", "spacing", "sentence"),
    [
        ({"vel": None}, 1.0, "has no arrays vel"),
        ({}, 0.75, "0.5 fs apart, which is no divisor of 0.75 fs"),
        ({}, 0.2, "no divisor of 0.2 fs"),
        ({}, 2.5, r"w.npz has 40 frames 2\.5 fs apart; a window needs 48 at least"),
        ({"pos": np.zeros((200, 3, 3))}, 1.0, r"pos of .* must be floats of shape \(frames, 2, 3\)"),
        ({"vel": np.zeros((199, 2, 3))}, 1.0, "vel of .* as many frames in pos and vel"),
        ({"Z": np.array([8.0, 1.0])}, 1.0, "Z of .* must be a list of atomic numbers, not float64"),
        ({"Z": np.array([8, 300])}, 1.0, "Z of .* must be a list of atomic numbers"),
        ({"dt": 0.0}, 1.0, r"dt of .* must be one positive time in fs, not 0\.0"),
    ],
)
def test_a_window_that_cannot_be_used_is_said(tmp_path: Path, changes: dict[str, object], spacing: float, sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        read_window(window(tmp_path / "w.npz", **changes), spacing)


def test_a_file_that_is_no_window_is_said(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez_compressed(path, **np.load(window(path)))
    packed = path.read_bytes()
    for content in (b"", b"2\nwater\nO 0 0 0\n", window(path).read_bytes()[:500], packed[:100] + bytes(40) + packed[140:]):
        path.write_bytes(content)
        with pytest.raises(ForcefreeError, match=r"w\.npz(: array '\w+' cannot be read| is not a complete npz archive) "):
            read_window(path, 1.0)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ForcefreeError, match=r"w\.npz holds a bare array, not an npz archive"):
        read_window(path, 1.0)


def test_models_of_one_name_are_seeds() -> None:
    named = named_models(("a=trajcast-ethanol", "a=trajcast-ethanol@2", "b=trajcast-ethanol"))
    assert {name: len(seeds) for name, seeds in named.items()} == {"a": 2, "b": 1}
    assert [seed.segment for seed in named["a"]] == [None, 2]  # type: ignore[attr-defined]


@pytest.mark.parametrize("pair", ["trajcast-ethanol", "a=", "=trajcast-ethanol", "a=b@x"])
def test_a_model_without_name_or_file_is_refused(pair: str) -> None:
    with pytest.raises(ForcefreeError, match="NAME=FILE"):
        named_models((pair,))


def test_keeping_no_frame_is_refused() -> None:
    with pytest.raises(ForcefreeError, match="'a=trajcast-ethanol@0' keeps 0 frames of each forecast; keep at least 1"):
        named_models(("a=trajcast-ethanol@0",))


def test_a_forecast_too_short_for_one_frame_is_said() -> None:
    runs = molecular_dynamics(1, 60, every=30, ensemble="nve")
    windows = window_source(runs, 30.0, {}).draw(2, 0)
    with pytest.raises(ForcefreeError, match="short forecasts up to 10 fs, less than the 15 fs between the frames of the data"):
        Iterated(FreeFlight(Card(name="short", model="x", species=[1, 8], t_max=10.0, cutoff=4.0)))(windows)


def test_groups_are_disjoint_and_no_larger_than_they_must_be(tmp_path: Path) -> None:
    runs = molecular_dynamics(2, 110, every=2, ensemble="nve")
    run_forecast(ForecastProtocol(held_out=store(tmp_path / "held.h5", runs), windows=2), Table("t", tmp_path))
    rows = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert {row["seeds"] for row in rows} == {2}, "two runs make two groups"
    assert not any("ridge" in row["figure"] for row in rows), "nothing to fit it to"


def test_asking_for_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match="nothing to forecast"):
        run_forecast(ForecastProtocol(), Table("t", tmp_path))
