"""Splits keep training and held-out data apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.training.config import DataConfig
from forcefree.training.splits import split


def test_whole_trajectories_are_held_out(trajectories: list[Trajectory]) -> None:
    config = DataConfig(files=[Path("x.h5")], validation_fraction=0.34)
    early, late = split(trajectories, config, seed=1)
    assert len(late) == 2
    assert {t.name for t in early} | {t.name for t in late} == {t.name for t in trajectories}
    assert not {t.name for t in early} & {t.name for t in late}
    assert [t.name for t in split(trajectories, config, seed=1)[1]] == [t.name for t in late]


def test_one_run_at_least_is_trained_on_and_one_held_out(trajectories: list[Trajectory]) -> None:
    for fraction in (0.01, 0.89):
        config = DataConfig(files=[Path("x.h5")], validation_fraction=fraction)
        early, late = split(trajectories[:2], config, seed=1)
        assert {early[0].name, late[0].name} == {t.name for t in trajectories[:2]}


def test_time_blocks_leave_a_gap(trajectories: list[Trajectory]) -> None:
    config = DataConfig(files=[Path("x.h5")], split="time", validation_fraction=0.25, gap=10.0)
    early, late = split(trajectories, config, seed=1)
    for before, after in zip(early, late, strict=True):
        assert after.times[0] - before.times[-1] >= 10.0
        assert len(after) == 30


def test_too_little_data_is_refused(trajectories: list[Trajectory]) -> None:
    with pytest.raises(ForcefreeError, match="at least two trajectories"):
        split(trajectories[:1], DataConfig(files=[Path("x.h5")]), seed=0)
    with pytest.raises(ForcefreeError, match="too short"):
        split(trajectories, DataConfig(files=[Path("x.h5")], split="time", gap=118.0), seed=0)
