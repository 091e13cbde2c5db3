"""Whole molecules are held out, by name or by formula, and a misspelt name is not silently nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.training.config import DataConfig
from forcefree.training.molecules import molecule_of, without
from forcefree.training.splits import split


@pytest.fixture
def named(trajectories: list[Trajectory]) -> list[Trajectory]:
    """Two runs of each of three molecules."""
    names = ("water", "heavy", "O", "water", "heavy", "O")
    return [replace(t, provenance={**t.provenance, "molecule": name}) for t, name in zip(trajectories, names, strict=True)]


def test_a_molecule_is_what_its_start_was_called_or_its_formula(trajectories: list[Trajectory], named: list[Trajectory]) -> None:
    assert molecule_of(named[1]) == "heavy"
    assert molecule_of(trajectories[0]) == "H2O"


def test_excluded_molecules_are_gone_with_all_their_runs(named: list[Trajectory]) -> None:
    kept = without(named, ["water", "O"])
    assert [t.name for t in kept] == ["run_1", "run_4"]
    assert without(named, []) == named


def test_a_name_that_fits_nothing_and_an_empty_rest_are_refused(named: list[Trajectory]) -> None:
    with pytest.raises(ForcefreeError, match=r"data.exclude names watr, which is no molecule of the data; it has O, heavy, water"):
        without(named, ["water", "watr"])
    with pytest.raises(ForcefreeError, match="leaves no molecule to train on"):
        without(named, ["water", "heavy", "O"])


@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.6, 0.89])
def test_a_split_by_molecule_never_parts_the_runs_of_one(named: list[Trajectory], fraction: float) -> None:
    config = DataConfig(files=[Path("x.h5")], split="molecule", validation_fraction=fraction)
    early, late = split(named, config, seed=1)
    assert early
    assert late
    assert not {molecule_of(t) for t in early} & {molecule_of(t) for t in late}
    assert len(early) + len(late) == 6
    assert [t.name for t in split(named, config, seed=2)[1]] == [t.name for t in late]


def test_more_molecules_or_a_larger_fraction_hold_out_what_was_held_out(trajectories: list[Trajectory]) -> None:
    runs = [replace(trajectories[0], provenance={"molecule": f"C{index}"}) for index in range(300)]

    def held_out(count: int, fraction: float) -> set[str]:
        config = DataConfig(files=[Path("x.h5")], split="molecule", validation_fraction=fraction)
        return {molecule_of(run) for run in split(runs[:count], config, seed=0)[1]}

    assert held_out(300, 0.1) & {molecule_of(run) for run in runs[:100]} == held_out(100, 0.1)
    assert held_out(300, 0.1) < held_out(300, 0.2)
    assert 35 < len(held_out(300, 0.2)) < 85


def test_one_molecule_is_too_few_to_split(trajectories: list[Trajectory]) -> None:
    config = DataConfig(files=[Path("x.h5")], split="molecule", validation_fraction=0.34)
    with pytest.raises(ForcefreeError, match=r"at least two molecules, not H2O alone; set data.split to trajectory"):
        split(trajectories, config, 0)
