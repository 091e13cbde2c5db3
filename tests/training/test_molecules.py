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


@pytest.mark.parametrize("seed", range(4))
def test_a_split_by_molecule_never_parts_the_runs_of_one(named: list[Trajectory], seed: int) -> None:
    config = DataConfig(files=[Path("x.h5")], split="molecule", validation_fraction=0.34)
    early, late = split(named, config, seed)
    assert len({molecule_of(t) for t in late}) == 1
    assert not {molecule_of(t) for t in early} & {molecule_of(t) for t in late}
    assert len(early) + len(late) == 6
    assert [t.name for t in split(named, config, seed)[1]] == [t.name for t in late]


def test_other_seeds_hold_out_other_molecules_and_one_molecule_is_too_few(named: list[Trajectory], trajectories: list[Trajectory]) -> None:
    config = DataConfig(files=[Path("x.h5")], split="molecule", validation_fraction=0.34)
    assert len({molecule_of(split(named, config, seed)[1][0]) for seed in range(12)}) > 1
    with pytest.raises(ForcefreeError, match=r"at least two molecules, not H2O alone; set data.split to trajectory"):
        split(trajectories, config, 0)
