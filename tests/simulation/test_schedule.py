"""Steps, frames and rows on one grid of whole numbers."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from forcefree.errors import ForcefreeError
from forcefree.simulation.schedule import Schedule


def _times(schedule: Schedule) -> list[float]:
    return [time for step in range(schedule.total + 1) for time in schedule.recorded(step)]


def test_frames_further_apart_than_steps() -> None:
    schedule = Schedule.plan(interval=10.0, duration=100.0, save_every=30.0)

    assert _times(schedule) == [0.0, 30.0, 60.0, 90.0]


def test_frames_inside_steps() -> None:
    schedule = Schedule.plan(interval=10.0, duration=20.0, save_every=2.5)

    assert _times(schedule) == [2.5 * n for n in range(9)]
    assert schedule.offsets.tolist() == [2.5, 5.0, 7.5, 10.0]


def test_equilibration_comes_before_time_zero() -> None:
    schedule = Schedule.plan(interval=10.0, duration=40.0, equilibration=55.0, save_every=20.0)

    assert schedule.equilibration == 6
    assert schedule.total == 10
    assert [step for step in range(11) if schedule.recorded(step)] == [6, 8, 10]
    assert _times(schedule) == [0.0, 20.0, 40.0]


def test_a_duration_is_rounded_up_to_whole_steps() -> None:
    assert Schedule.plan(interval=7.0, duration=100.0).production == 15
    assert Schedule.plan(interval=0.1, duration=0.3).production == 3


@pytest.mark.parametrize(("duration", "expected"), [(1e6, 10), (50.0, 5), (10.0, 1)])
def test_frames_are_about_100_fs_apart_when_nothing_is_said(duration: float, expected: int) -> None:
    assert Schedule.plan(interval=10.0, duration=duration).steps_per_frame == expected


def test_the_log_has_about_a_thousand_rows_when_nothing_is_said() -> None:
    schedule = Schedule.plan(interval=10.0, duration=1e6)

    assert sum(schedule.logs(step) for step in range(schedule.total + 1)) == 1001


@pytest.mark.parametrize(
    ("save_every", "good"), [(15.0, "save every 10 or 20 fs"), (3.0, "save every 3.33333 or 10 fs"), (7.0, "save every 10 or 10 fs")]
)
def test_frames_that_fit_no_step_are_refused_with_those_that_would(save_every: float, good: str) -> None:
    with pytest.raises(ForcefreeError, match=good):
        Schedule.plan(interval=10.0, duration=100.0, save_every=save_every)


def test_frames_further_apart_than_the_run_is_long_are_refused() -> None:
    with pytest.raises(ForcefreeError, match="a run of 100 fs has no frame but its first when frames are 1000 fs apart; save more often"):
        Schedule.plan(interval=10.0, duration=95.0, save_every=1000.0)
    assert _times(Schedule.plan(interval=10.0, duration=95.0, save_every=100.0)) == [0.0, 100.0]


@given(interval=st.floats(0.5, 50.0), several=st.integers(1, 20), many=st.integers(1, 20), steps=st.integers(1, 60))
def test_recorded_times_are_the_multiples_of_the_spacing(interval: float, several: int, many: int, steps: int) -> None:
    assume(many <= steps)
    for spacing in (interval / several, interval * many):
        schedule = Schedule.plan(interval=interval, duration=steps * interval, save_every=spacing)

        times = _times(schedule)

        assert times == pytest.approx([n * spacing for n in range(len(times))])
        assert schedule.production == steps
        assert times[-1] <= steps * interval * (1 + 1e-12) < times[-1] + spacing * (1 + 1e-9)
