"""Speed, time left and what is due, by a clock that is turned by hand."""

from __future__ import annotations

import pytest

from forcefree.simulation.progress import Clock


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the clock shows."""
    shown = [100.0]
    monkeypatch.setattr("forcefree.simulation.progress.time.perf_counter", lambda: shown[0])
    return shown


def test_speed_counts_all_running_replicas_and_the_rest_takes_as_long_as_the_steps_so_far(hands: list[float]) -> None:
    clock = Clock(interval=10.0, every=60.0)
    for running in (4, 4, 4, 2):
        hands[0] += 0.5
        clock.tick(running)
    assert clock.ns_per_day == pytest.approx(140e-6 / 2.0 * 86400.0)
    assert clock.eta(6) == pytest.approx(3.0)
    assert clock.eta(0) == 0.0


def test_reports_are_due_twice_a_second_and_checkpoints_when_asked_for(hands: list[float]) -> None:
    clock = Clock(interval=1.0, every=1.0)
    due = []
    for _ in range(16):
        hands[0] += 0.125
        due.append(clock.tick(1))
    assert [index for index, (tell, _) in enumerate(due) if tell] == [3, 7, 11, 15]
    assert [index for index, (_, save) in enumerate(due) if save] == [7, 15]
