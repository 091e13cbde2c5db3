"""Random numbers that depend on nothing but seed, replica, purpose and step."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from forcefree.errors import ForcefreeError
from forcefree.streams import Purpose, Streams


def test_a_replica_draws_the_same_numbers_in_every_batch() -> None:
    many = Streams(1, range(8)).uniforms(Purpose.CSVR, 17, (5,) * 8).reshape(8, 5)
    alone = Streams(1, [3]).uniforms(Purpose.CSVR, 17, (5,))

    assert np.array_equal(many[3], alone)


def test_the_size_of_a_batch_mate_changes_nothing() -> None:
    alone = Streams(1, [3]).normals(Purpose.LANGEVIN_AFTER, 40, (27,))
    mixed = Streams(1, [2, 3]).normals(Purpose.LANGEVIN_AFTER, 40, (30000, 27))

    assert torch.equal(alone, mixed[30000:])


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.integers(0, 5000), min_size=1, max_size=8), count=st.integers(1, 40), seed=st.integers(0, 2**64 - 1))
def test_the_order_of_questions_changes_nothing(steps: list[int], count: int, seed: int) -> None:
    one = Streams(seed, [0, 9])

    asked = {step: one.uniforms(Purpose.VELOCITIES, step, (count, count)).copy() for step in steps}

    for step, values in asked.items():
        assert np.array_equal(values, Streams(seed, [0, 9]).uniforms(Purpose.VELOCITIES, step, (count, count)))


def test_seeds_replicas_purposes_and_steps_have_numbers_of_their_own() -> None:
    draws = [
        Streams(seed, [replica]).uniforms(purpose, step, (4,))
        for seed in (0, 1, 2**63)
        for replica in (0, 1, 100_000)
        for purpose in Purpose
        for step in (0, 1, 255, 256, 10**9)
    ]
    flat = np.concatenate(draws)

    assert len(np.unique(flat)) == len(flat)


def test_uniform_numbers_never_touch_the_ends() -> None:
    values = Streams(0, range(64)).uniforms(Purpose.CSVR, 0, (1000,) * 64)

    assert values.min() > 0.0
    assert values.max() < 1.0
    assert stats.kstest(values, "uniform").pvalue > 1e-4


def test_normals_are_normal_and_uncorrelated_in_time() -> None:
    streams = Streams(11, range(20))
    series = torch.stack([streams.normals(Purpose.LANGEVIN_BEFORE, step, (3,) * 20) for step in range(600)])

    assert stats.kstest(series.flatten().numpy(), "norm").pvalue > 1e-4
    assert abs(float((series[1:] * series[:-1]).mean())) < 4.5 / series[1:].numel() ** 0.5
    assert abs(float((series[:, :30] * series[:, 30:]).mean())) < 4.5 / series[:, :30].numel() ** 0.5


@pytest.mark.parametrize("freedom", [1.0, 2.0, 20.0, 12000.0])
def test_chi_squares_follow_their_exact_distribution(freedom: float) -> None:
    streams = Streams(4, range(2000))

    normal, chi_square = streams.normals_and_chi_squares(Purpose.CSVR, 5, np.full(2000, freedom))

    assert stats.kstest(chi_square.numpy(), stats.chi2(freedom).cdf).pvalue > 1e-4
    assert stats.kstest(normal.numpy(), "norm").pvalue > 1e-4
    assert abs(stats.spearmanr(normal.numpy(), chi_square.numpy()).statistic) < 4.5 / 2000**0.5


def test_a_chi_square_without_freedom_is_zero() -> None:
    _, chi_square = Streams(0, [0, 1]).normals_and_chi_squares(Purpose.CSVR, 0, np.array([0.0, 3.0]))

    assert float(chi_square[0]) == 0.0
    assert float(chi_square[1]) > 0.0


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_an_impossible_seed_is_refused_in_one_sentence(seed: int) -> None:
    with pytest.raises(ForcefreeError, match="a seed is a whole number from 0"):
        Streams(seed, [0])


def test_a_thousand_replicas_cost_little() -> None:
    streams = Streams(0, range(1000))
    freedom = np.full(1000, 20.0)
    begin = time.process_time()
    for step in range(256):
        streams.normals_and_chi_squares(Purpose.CSVR, step, freedom)
    assert (time.process_time() - begin) / 256 < 5e-3


@pytest.mark.parametrize("step", [0, 255, 256, 10**7])
def test_numbers_are_those_of_philox_at_the_step_for_good(step: int) -> None:
    """What a checkpoint relies on: replica 3, purpose 2, seven numbers in two words of four for each step."""
    philox = np.random.Philox(key=np.array([41, 3 * 256 + 2], dtype=np.uint64))
    philox.advance(2 * step)
    expected = ((philox.random_raw(7) >> np.uint64(12)) + 0.5) / 2.0**52

    found = Streams(41, [0, 3]).uniforms(Purpose.LANGEVIN_BEFORE, step, (5, 7))[5:]

    assert np.array_equal(found, expected)


@pytest.mark.parametrize("replica", [-1, 2**56])
def test_an_impossible_replica_is_refused_and_the_last_one_is_none_of_the_others(replica: int) -> None:
    with pytest.raises(ForcefreeError, match=rf"replicas are numbered from 0 to 2\^56 - 1, so none is {replica}"):
        Streams(0, [0, replica])
    first, last = (Streams(0, [number]).uniforms(Purpose.CSVR, 0, (4,)) for number in (0, 2**56 - 1))
    assert not np.intersect1d(first, last).size
