"""Like is compared with like: equal pieces, halves by run, the same amount on each side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forcefree.analysis.distributions import jensen_shannon
from forcefree.analysis.pieces import Piece, Split, compare, cut, plausible_bound, split_halves
from forcefree.analysis.sample import Sample
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError


def _run(frames: int, spacing: float = 1.0) -> Trajectory:
    return Trajectory("r", np.array([1]), np.array([1.0]), np.arange(frames) * spacing, np.zeros((frames, 1, 3)), np.zeros((frames, 1, 3)))


def _sample(*runs: Trajectory) -> Sample:
    return Sample(Path("x.h5"), runs, runs, None)


def _pieces(*counts: int) -> list[Piece]:
    return [Piece(run, _run(32)) for run, count in enumerate(counts) for _ in range(count)]


def test_pieces_have_one_duration_and_one_spacing() -> None:
    model, reference = cut(_sample(_run(1000, 10.0)), _sample(*[_run(4001, 1.0)] * 6))
    assert {len(piece.frames) for piece in model + reference} == {400}
    assert {piece.frames.spacing for piece in model + reference} == {10.0}
    assert ([piece.run for piece in model], [piece.run for piece in reference]) == ([0, 0], list(range(6)))
    assert model[1].frames.times[0] == 4000.0


def test_a_single_reference_run_is_cut_into_four() -> None:
    model, reference = cut(_sample(_run(400)), _sample(_run(400)))
    assert (len(model), len(reference), len(reference[0].frames)) == (4, 4, 100)


def test_spacings_without_a_common_multiple_come_as_close_as_they_can() -> None:
    model, reference = cut(_sample(_run(600, 7.0)), _sample(*[_run(2000, 2.0)] * 4))
    assert (model[0].frames.spacing, reference[0].frames.spacing) == (7.0, 8.0)
    assert len(model[0].frames) * 7.0 == pytest.approx(len(reference[0].frames) * 8.0, abs=8.0)


def test_runs_too_short_to_cut_are_refused() -> None:
    with pytest.raises(ForcefreeError, match="pieces of only 20 frames 10 fs apart; at least 32"):
        cut(_sample(_run(40, 10.0)), _sample(*[_run(200, 1.0)] * 4))


@given(st.lists(st.integers(1, 4), min_size=2, max_size=9), st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_halves_share_no_run_and_all_three_samples_are_of_one_size(theirs: list[int], ours: list[int], seed: int) -> None:
    model, reference = _pieces(*ours), _pieces(*theirs)
    for split in split_halves(model, reference, count=3, seed=seed):
        runs = [{reference[i].run for i in half} for half in (split.first, split.second)]
        assert not runs[0] & runs[1]
        assert len(split.first) == len(split.second) == len(split.model) >= 1
        assert len(set(split.model)) == len(split.model)
        drawn = [model[i].run for i in split.model]
        assert len(set(drawn)) == min(len(drawn), len(ours))


def test_a_single_run_is_split_in_time() -> None:
    split = split_halves(_pieces(3), _pieces(6), count=1)[0]
    assert sorted([*split.first, *split.second]) == list(range(6))
    assert split.units == 6


def test_splits_are_reproducible_and_differ() -> None:
    first, second = (split_halves(_pieces(4), _pieces(*[1] * 8), seed=3) for _ in range(2))
    assert all(np.array_equal(a.first, b.first) and np.array_equal(a.model, b.model) for a, b in zip(first, second, strict=True))
    assert len({tuple(sorted(split.first)) for split in first}) > 5


def test_the_ceiling_covers_data_of_the_same_distribution() -> None:
    """Over many draws the distance of identically distributed data to the reference equals the ceiling, and it lies within the bound."""
    rng = np.random.default_rng(0)
    ratios, within = [], []
    for seed in range(60):
        model, reference = (rng.multinomial(200, np.full(30, 1 / 30), size=n).astype(float) for n in (30, 12))
        splits = split_halves(_pieces(*[5] * 6), _pieces(*[1] * 12), seed=seed)
        found = compare(model, reference, splits, jensen_shannon)
        ratios.append(found.value / found.ceiling)
        within.append(found.value <= found.bound)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.02)
    assert np.mean(within) > 0.9


def test_more_data_on_one_side_does_not_change_the_distance() -> None:
    rng = np.random.default_rng(1)
    reference = rng.multinomial(200, np.full(30, 1 / 30), size=12).astype(float)
    values = []
    for runs in (6, 60):
        model = rng.multinomial(200, np.full(30, 1 / 30), size=runs).astype(float)
        values.append(float(compare(model, reference, split_halves(_pieces(*[1] * runs), _pieces(*[1] * 12)), jensen_shannon).value))
    assert values[0] == pytest.approx(values[1], rel=0.1)


def test_the_bound_widens_where_runs_are_few() -> None:
    ceilings = np.array([0.1, 0.12, 0.08, 0.1])
    bounds = [float(plausible_bound(ceilings, units)) for units in (2, 3, 6, 100)]
    assert bounds[0] == np.inf
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] >= 0.12
    many = plausible_bound(np.repeat(ceilings[:, None], 20, axis=1), 6)
    assert (many > bounds[2]).all()


def test_two_reference_runs_of_unequal_length_can_still_be_split() -> None:
    model, reference = cut(_sample(_run(2000)), _sample(_run(1000), _run(400)))
    assert [piece.run for piece in reference] == [0, 0, 1]
    assert {len(piece.frames) for piece in model + reference} == {400}
    for split in split_halves(model, reference, count=3):
        assert len(split.first) == len(split.second) == len(split.model) == 1


def test_a_distance_is_the_mean_over_both_halves_and_its_ceiling_that_between_them() -> None:
    def sums_apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.abs(one - other)

    reference, model = np.array([1.0, 2.0, 4.0, 8.0]), np.array([5.0, 7.0])
    splits = [
        Split(np.array([0, 1]), np.array([2, 3]), np.array([0, 1]), 4),
        Split(np.array([0, 3]), np.array([1, 2]), np.array([1, 0]), 4),
    ]
    found = compare(model, reference, splits, sums_apart)
    values, ceilings = [(9.0 + 0.0) / 2, (3.0 + 6.0) / 2], [9.0, 3.0]
    assert found.value == pytest.approx(np.mean(values))
    assert found.spread == pytest.approx(np.std(values))
    assert (found.ceiling, found.ceiling_spread) == (pytest.approx(6.0), pytest.approx(3.0))
    assert found.bound >= max(ceilings)
