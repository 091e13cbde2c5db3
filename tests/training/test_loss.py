"""The loss: zero for the truth, one for free flight, weighted by what an error costs in energy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from torch import Tensor

import copper
from forcefree.data.trajectory import Trajectory
from forcefree.models.card import Card
from forcefree.models.forecaster import Departures, Forecaster
from forcefree.models.registry import build_model
from forcefree.state import State
from forcefree.training.loss import Scales, energy_error, reversal_loss, unrolled_loss
from forcefree.training.module import one_step_errors
from forcefree.training.report import error_table
from forcefree.training.windows import Windows, WindowSource
from forcefree.units import KINETIC_UNIT


class Told(Forecaster):
    """Repeats given departures, times a factor."""

    def __init__(self, answers: list[tuple[Tensor, Tensor]], factor: float = 1.0) -> None:
        super().__init__(Card(name="told", model="told", species=[1, 8], t_max=5.0, cutoff=4.0))
        self._answers, self._factor, self._asked = answers, factor, 0

    def departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        positions, velocities = self._answers[self._asked % len(self._answers)]
        self._asked += 1
        return Departures(self._factor * positions, self._factor * velocities)


@pytest.fixture
def windows(trajectories: list[Trajectory]) -> Windows:
    return WindowSource(trajectories, 5.0, seed=2).draw(64, 0)


def test_the_truth_costs_nothing_and_free_flight_costs_about_one(trajectories: list[Trajectory], windows: Windows) -> None:
    scales = Scales.measure(WindowSource(trajectories, 5.0, seed=9))
    assert float(unrolled_loss(Told([windows.departures()]), windows, scales)) < 1e-12
    assert float(unrolled_loss(Told([windows.departures()], 0.0), windows, scales)) == pytest.approx(1.0, rel=0.25)


def test_errors_grow_with_the_square_and_both_segments_count(trajectories: list[Trajectory]) -> None:
    scales = Scales.measure(WindowSource(trajectories, 5.0, seed=9))
    windows = WindowSource(trajectories, 10.0, seed=2).draw(64, 0)
    positions, velocities = windows.departures()
    first = (positions[:5], velocities[:5])
    middle = windows.history[-1].with_(positions=windows.positions[4], velocities=windows.velocities[4])
    second = Windows((middle,), windows.times[:5], windows.positions[5:], windows.velocities[5:]).departures()
    assert float(unrolled_loss(Told([first, second]), windows, scales, unroll=2)) < 1e-10
    half = float(unrolled_loss(Told([first, second], 0.5), Windows(windows.history, windows.times[:5], *first_targets(windows)), scales))
    tenth = float(unrolled_loss(Told([first, second], 0.9), Windows(windows.history, windows.times[:5], *first_targets(windows)), scales))
    assert half / tenth == pytest.approx(25.0, rel=1e-4)


def first_targets(windows: Windows) -> tuple[Tensor, Tensor]:
    return windows.positions[:5], windows.velocities[:5]


def test_the_same_error_costs_more_on_a_heavy_atom(trajectories: list[Trajectory], windows: Windows) -> None:
    scales = Scales.measure(WindowSource(trajectories, 5.0, seed=9))
    numbers = windows.history[-1].numbers
    costs = {}
    for number in (1, 8):
        positions, velocities = (values.clone() for values in windows.departures())
        chosen = (numbers == number).nonzero()[0, 0]
        positions[:, chosen] += 0.01
        model = Told([(positions, velocities)])
        model.conserving_departures = model.departures  # type: ignore[method-assign]
        costs[number] = float(unrolled_loss(model, windows, scales))
    assert costs[8] / costs[1] == pytest.approx(15.999 / 1.008, rel=1e-3)


def test_reported_errors_are_those_that_were_made(windows: Windows) -> None:
    positions, velocities = windows.departures()
    row = error_table(Told([(positions, velocities)], 0.0), windows)[-1]
    assert row["position_pm"] == pytest.approx(row["free_flight_pm"])
    assert row["velocity_percent"] == pytest.approx(row["free_flight_velocity_percent"])
    errors = one_step_errors(Told([(positions, velocities)], 0.0), windows)
    assert 100.0 * float(errors["val_position_mae"]) == pytest.approx(row["position_pm"])
    assert float(one_step_errors(Told([(positions, velocities)]), windows)["val_velocity_percent"]) < 1e-6


def test_the_energy_error_is_the_change_of_the_total_energy_to_first_order() -> None:
    """One atom of a harmonic well, where the energy is known."""
    state = State.from_atoms([Atoms("H"), Atoms("O")])
    generator = torch.Generator().manual_seed(0)
    positions, velocities, dx, dv = (torch.randn(3, 2, 3, generator=generator, dtype=torch.float64) for _ in range(4))
    velocities, dx, dv = 0.02 * velocities, 1e-5 * dx, 1e-7 * dv
    stiffness = 4.0

    def energy(x: Tensor, v: Tensor) -> Tensor:
        return (0.5 * stiffness * x.square() + 0.5 * KINETIC_UNIT * state.masses[:, None] * v.square()).sum(dim=-1)

    found = energy_error(state, velocities, -stiffness * positions, dx, dv)
    torch.testing.assert_close(found, energy(positions + dx, velocities + dv) - energy(positions, velocities), rtol=1e-3, atol=1e-8)


def test_the_energy_term_counts_errors_along_the_trajectory_only(trajectories: list[Trajectory]) -> None:
    source = WindowSource([replace(t, forces=np.zeros_like(t.positions)) for t in trajectories], 5.0, seed=2)
    windows = source.draw(32, 0)
    scales = Scales.measure(source)
    positions, velocities = windows.departures()
    along = Told([(positions, velocities - 1e-3 * windows.velocities)])
    across = Told([(positions, velocities + 1e-3 * torch.linalg.cross(windows.velocities, torch.ones_like(velocities)))])
    for model in (along, across):
        model.conserving_departures = model.departures  # type: ignore[method-assign]
    costs = [float(unrolled_loss(model, windows, scales, 1, weight)) for model in (along, across) for weight in (0.0, 1.0)]
    assert costs[1] > 1.5 * costs[0]
    assert costs[3] == pytest.approx(costs[2], rel=1e-6)


def backwards(windows: Windows) -> Windows:
    """The same windows from their last frame to their first, velocities turned round."""
    first = windows.history[-1]
    end = first.with_(positions=windows.positions[-1], velocities=-windows.velocities[-1])
    positions = torch.cat([windows.positions[:-1].flip(0), first.positions[None]])
    velocities = -torch.cat([windows.velocities[:-1].flip(0), first.velocities[None]])
    return Windows((end,), windows.times, positions, velocities)


@pytest.mark.parametrize("factor", [1.0, 0.0])
def test_the_truth_and_free_flight_retrace_their_path(trajectories: list[Trajectory], windows: Windows, factor: float) -> None:
    scales = Scales.measure(WindowSource(trajectories, 5.0, seed=9))
    forth, back = windows.departures(), backwards(windows).departures()
    model = Told([back], factor)
    predicted = Departures(factor * forth[0], factor * forth[1])
    assert float(reversal_loss(model, windows.history[-1], predicted, windows.times, scales)) < 1e-10


def test_what_is_lost_forth_and_back_counts_twice(trajectories: list[Trajectory], windows: Windows) -> None:
    scales = Scales.measure(WindowSource(trajectories, 5.0, seed=9))
    state, times = windows.history[-1], windows.times
    drag = 1e-4
    elapsed = times[:, state.system, None]

    class Drag(Forecaster):
        def departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
            speed = history[-1].velocities
            return Departures(-0.5 * drag * elapsed**2 * speed, -drag * elapsed * speed)

    model = Drag(Card(name="drag", model="drag", species=[1, 8], t_max=5.0, cutoff=4.0))
    still = state.with_(velocities=state.velocities - state.mean_by_mass(state.velocities)[state.system])
    predicted = model.conserving_departures((still,), times)
    end = float(times[-1, 0])
    lost = (2.0 * drag * end * still.velocities).square()
    weights = (state.masses / scales.mean_mass)[:, None]
    at_the_end = 0.5 * float((weights * lost).mean() / scales.velocities[-1].square()) / len(times)
    assert float(reversal_loss(model, still, predicted, times, scales)) > at_the_end > 0.0


def test_the_reversal_error_adds_to_the_loss_with_its_weight(trajectories: list[Trajectory], windows: Windows) -> None:
    scales = Scales.measure(WindowSource(trajectories, 5.0, seed=9))
    answers = [windows.departures(), backwards(windows).departures()]
    half = [(0.5 * answers[0][0], 0.5 * answers[0][1]), answers[1]]
    plain = float(unrolled_loss(Told(half), windows, scales))
    extra = [float(unrolled_loss(Told(half), windows, scales, reversal_weight=weight)) - plain for weight in (1.0, 3.0)]
    assert extra[0] > 0.01
    assert extra[1] == pytest.approx(3.0 * extra[0], rel=1e-5)
    assert float(unrolled_loss(Told(answers), windows, scales, reversal_weight=5.0)) < 1e-10


class Continued(Told):
    """Knows the truth, and notes the history that it is given."""

    def __init__(self, answers: list[tuple[Tensor, Tensor]], penalty: float | None = None) -> None:
        super().__init__(answers)
        self.seen: list[tuple[State, ...]] = []
        self.penalty = None if penalty is None else torch.tensor(penalty)

    def departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        self.seen.append(history)
        return super().departures(history, times)._replace(penalty=self.penalty)


def test_an_unrolled_loss_hands_a_whole_history_on(trajectories: list[Trajectory]) -> None:
    source = WindowSource(trajectories, 6.0, history_length=4, seed=2, time_reversal=False)
    windows = source.draw(8, 0)
    scales = Scales.measure(WindowSource(trajectories, 3.0, history_length=4, seed=9))
    positions, velocities = windows.departures()
    middle = windows.history[-1].with_(positions=windows.positions[2], velocities=windows.velocities[2])
    second = Windows((middle,), windows.times[:3], windows.positions[3:], windows.velocities[3:]).departures()
    model = Continued([(positions[:3], velocities[:3]), second])
    assert float(unrolled_loss(model, windows, scales, unroll=2)) < 1e-10
    assert [len(history) for history in model.seen] == [4, 4]
    (start, *late) = model.seen[1]
    torch.testing.assert_close(start.time, windows.history[-1].time)
    for frame, position in zip(late, windows.positions[:3], strict=True):
        torch.testing.assert_close(frame.positions, position, rtol=0.0, atol=1e-6)


def test_a_penalty_of_the_model_is_added(windows: Windows, trajectories: list[Trajectory]) -> None:
    scales = Scales.measure(WindowSource(trajectories, 5.0, seed=9))
    assert float(unrolled_loss(Continued([windows.departures()], 0.25), windows, scales)) == pytest.approx(0.25, rel=1e-6)


def test_a_crystal_learns_to_go_back() -> None:
    source = WindowSource(copper.runs(1, 12), 10.0, seed=3)
    windows = source.draw(1, 0)
    torch.manual_seed(0)
    card = Card(name="c", model="trajcast", options={"channels": 8, "layers": 1, "refinements": 1}, species=[29], t_max=10.0, cutoff=4.0)
    model = build_model(card)
    scales = Scales(torch.ones(5), torch.ones(5), mean_mass=63.5, energy=1.0)
    unrolled_loss(model, windows, scales, reversal_weight=1.0).backward()
    slopes = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert slopes
    assert all(bool(slope.isfinite().all()) for slope in slopes)
