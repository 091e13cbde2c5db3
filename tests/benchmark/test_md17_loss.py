"""What each loss asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from forcefree.benchmark.md17_data import read_heavy
from forcefree.benchmark.md17_loss import loss_of
from forcefree.benchmark.md17_splits import split_of
from forcefree.benchmark.md17_tasks import Task, task_of
from forcefree.benchmark.no_skill import mean_shape


@pytest.fixture
def task(folder: Path) -> Task:
    trajectory = read_heavy(folder / "md17_spinner.npz")
    return task_of(trajectory, split_of("legacy", len(trajectory)).train[:50], "irregular")


def noisy(positions: torch.Tensor) -> torch.Tensor:
    return positions + 0.1 * torch.randn(positions.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_superposed_loss_does_not_see_how_the_molecule_lies(task: Task) -> None:
    _, _, true = task.batch(slice(None))
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    turn = turn * torch.linalg.det(turn)
    raw, superposed = loss_of("raw", task), loss_of("superposed", task)
    predicted = noisy(true)
    assert float(superposed(predicted, true)) < float(raw(predicted, true)) == pytest.approx(0.01, rel=0.1)
    torch.testing.assert_close(superposed(predicted @ turn + 2.0, true), superposed(predicted, true), rtol=1e-9, atol=0.0)
    assert float(raw(predicted @ turn + 2.0, true)) > 1.0


def test_both_count_alike_and_the_mean_shape_has_one(task: Task) -> None:
    state, times, true = task.batch(slice(None))
    both = loss_of("both", task)
    forecast = mean_shape(task.trajectory, task.starts)
    noise = noisy(torch.zeros_like(true))
    # the spinner has one shape, so that the mean shape's superposed error is all rounding of the file; both is then dominated by it
    assert float(both(forecast(state, times), true)) == pytest.approx(1.0, rel=1e-9)
    raw, superposed = (float(loss_of(kind, task)(true + noise, true)) for kind in ("raw", "superposed"))
    blind = [float(loss_of(kind, task)(forecast(state, times), true)) for kind in ("raw", "superposed")]
    assert float(both(true + noise, true)) == pytest.approx(0.5 * (raw / blind[0] + superposed / blind[1]), rel=1e-9)
