"""Direct and reversible propagators against exact and lossy flows."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.choice import make_propagator
from forcefree.simulation.propagators import Direct, Propagator, flipped, tamed
from forcefree.simulation.reversible import Reversible
from forcefree.state import State
from forcefree.streams import Streams
from forcefree.temperature import kinetic_energy
from forcefree.velocities import maxwell_boltzmann
from oracles import boxed, boxed_atoms, phantom, phantom_start


def _start(replicas: int = 8, temperature: float = 300.0) -> State:
    state = State.from_atoms([boxed_atoms()] * replicas)
    state = state.with_(positions=boxed().canonical_positions(temperature, replicas))
    return maxwell_boltzmann(state, temperature, Streams(0, range(replicas)), "momentum")


def _energy(state: State) -> Tensor:
    return kinetic_energy(state, "nothing") + boxed().potential_energy(state)


def _drift(propagator: Propagator, steps: int) -> float:
    """Mean change of the total energy over its start, as a fraction."""
    state = begin = _start()
    for _ in range(steps):
        state = propagator.step(state)
    return float((_energy(state) / _energy(begin)).mean()) - 1.0


@pytest.mark.parametrize("make", [lambda m: Direct(m, 10.0), lambda m: Reversible(m, 5.0), lambda m: Reversible(m, 5.0, 3)])
def test_with_an_exact_flow_every_propagator_is_exact(make) -> None:
    model = boxed()
    propagator = make(model)
    state = begin = _start()

    for _ in range(50):
        state = propagator.step(state)

    torch.testing.assert_close(_energy(state), _energy(begin), rtol=1e-11, atol=0.0)
    once = model.propagate(begin, 20.0)
    twice = propagator.step(propagator.step(begin))
    torch.testing.assert_close(twice.positions, once.positions, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(twice.velocities, once.velocities, rtol=0.0, atol=1e-13)
    assert float(twice.time[0]) == 20.0


def test_a_lossy_map_drifts_directly_and_hardly_when_made_reversible() -> None:
    lossy = boxed(shrink=1e-3)

    direct = _drift(Direct(lossy, 10.0), 100)
    assert direct < -0.3
    assert abs(_drift(Reversible(lossy, 5.0), 100)) < 0.05 * abs(direct)
    assert abs(_drift(Reversible(lossy, 5.0, 3), 100)) < 1e-5


@pytest.mark.parametrize("corrections", [1, 2, 3])
def test_the_loss_that_corrections_leave_is_the_analytic_one(corrections: int) -> None:
    """A flow that shrinks by a over h leaves 1 - (1 - a^2)^(n+1) after a step of 2 h with n corrections."""
    lossy = boxed(shrink=5e-3)
    state = _start(1)

    after = Reversible(lossy, 5.0, corrections).step(state)

    exact = boxed().propagate(state, 10.0)
    kept = lossy.into @ (after.positions - lossy.reference)
    whole = lossy.into @ (exact.positions - lossy.reference)
    a = torch.exp(-lossy.damping * 5.0)
    torch.testing.assert_close(kept[1:], ((1.0 - (1.0 - a**2) ** (corrections + 1))[:, None] * whole)[1:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shrink", [2e-3, 1e-2])
def test_every_correction_brings_the_reversal_closer(shrink: float) -> None:
    lossy = boxed(shrink=shrink)
    state = _start()

    residuals = [float(Reversible(lossy, 5.0, corrections).residual(state).max()) for corrections in (1, 2, 3, 4)]

    assert all(later < 0.2 * earlier for earlier, later in itertools.pairwise(residuals))
    assert residuals[-1] < 1e-5


def test_the_fixed_point_solves_the_adjoint_equation() -> None:
    lossy = boxed(shrink=5e-3)
    state = _start()

    after = Reversible(lossy, 5.0, corrections=12).step(state)

    middle = lossy.propagate(state, 5.0)
    back = lossy.propagate(flipped(after), 5.0)
    torch.testing.assert_close(back.positions, middle.positions, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(-back.velocities, middle.velocities, rtol=0.0, atol=1e-13)


def test_a_converged_step_is_undone_by_reversing_the_velocities() -> None:
    propagator = Reversible(boxed(shrink=5e-3), 5.0, corrections=12)
    begin = _start()

    back = flipped(propagator.step(flipped(propagator.step(begin))))

    torch.testing.assert_close(back.positions, begin.positions, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(back.velocities, begin.velocities, rtol=0.0, atol=1e-13)


def test_one_correction_is_the_published_formula() -> None:
    lossy = boxed(shrink=5e-3)
    state = _start(2)

    def forth(z: State) -> State:
        return lossy.propagate(z, 5.0)

    start = flipped(forth(forth(state)))
    again = flipped(forth(flipped(forth(start))))
    after = Reversible(lossy, 5.0).step(state)

    torch.testing.assert_close(after.positions, 2.0 * start.positions - again.positions, rtol=0.0, atol=1e-13)
    torch.testing.assert_close(after.velocities, -(2.0 * start.velocities - again.velocities), rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("make", [lambda m: Direct(m, 10.0), lambda m: Reversible(m, 5.0), lambda m: Reversible(m, 5.0, 2)])
def test_frames_inside_a_step_lie_on_the_exact_trajectory(make) -> None:
    model = boxed()
    state = _start(3)
    times = torch.tensor([1.0, 2.5, 5.0, 6.0, 9.0, 10.0], dtype=torch.float64)

    frames = make(model).trace(state, times)

    exact = model.forecast((state,), times)
    torch.testing.assert_close(frames.times, exact.times)
    torch.testing.assert_close(frames.positions, exact.positions, rtol=0.0, atol=1e-11)
    torch.testing.assert_close(frames.velocities, exact.velocities, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("times", [[2.0, 4.0, 6.0, 8.0, 10.0], [5.0, 10.0], [7.0, 10.0], [3.0, 10.0], [10.0]])
def test_asking_for_frames_changes_nothing_of_the_step(times: list[float]) -> None:
    propagator = Reversible(boxed(shrink=5e-3), 5.0)
    state = _start(3)

    frames = propagator.trace(state, torch.tensor(times, dtype=torch.float64))

    alone = propagator.step(state)
    assert len(frames.positions) == len(times)
    assert torch.equal(frames.positions[-1], alone.positions)
    assert torch.equal(frames.velocities[-1], alone.velocities)


def test_frames_of_a_lossy_map_join_the_ends_without_a_jump() -> None:
    propagator = Reversible(boxed(shrink=1e-2), 5.0)
    state = _start(3)
    times = torch.tensor([1e-6, 5.0 - 1e-6, 5.0, 5.0 + 1e-6, 10.0 - 1e-6, 10.0], dtype=torch.float64)

    frames = propagator.trace(state, times)

    for one, other in ((1, 2), (2, 3), (4, 5)):
        torch.testing.assert_close(frames.positions[one], frames.positions[other], rtol=0.0, atol=1e-6)
        torch.testing.assert_close(frames.velocities[one], frames.velocities[other], rtol=0.0, atol=1e-6)


class _Explosive(Forecaster):
    """Throws the first system of a batch away."""

    def __init__(self, value: float) -> None:
        super().__init__(phantom().card)
        self.value = value
        self.inputs: list[State] = []

    def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
        self.inputs.append(history[-1])
        zero = torch.zeros(len(times), history[-1].n_atoms, 3, dtype=torch.float64)
        blown = zero.clone()
        blown[:, 0] = self.value
        return blown, zero


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
def test_a_lost_system_never_reaches_the_model_again_and_comes_back_as_nan(value: float) -> None:
    model = _Explosive(value)
    state = phantom_start(3)

    after = Reversible(model, 5.0).step(state)

    assert all(bool(given.positions.isfinite().all()) for given in model.inputs)
    assert after.positions.view(3, -1).isnan().all(dim=1).tolist() == [True, False, False]


def test_taming_spots_systems_that_are_lost() -> None:
    origin = phantom_start(3)
    moved = origin.with_(velocities=torch.zeros_like(origin.velocities))
    moved.velocities[10] = torch.nan

    kept, lost = tamed(moved, origin)

    assert lost is not None
    assert lost.view(3, 9).all(dim=1).tolist() == [False, True, False]
    assert bool(kept.velocities.isfinite().all())


def test_auto_takes_what_the_card_recommends() -> None:
    model = phantom(propagator={"name": "reversible", "interval": 12.0, "corrections": 3})

    chosen = make_propagator(model)

    assert chosen.describe() == {"name": "reversible", "interval": 12.0, "corrections": 3}
    assert chosen.passes == 8
    assert make_propagator(model, interval=8.0).describe() == {"name": "reversible", "interval": 8.0, "corrections": 3}
    assert make_propagator(model, "direct").describe() == {"name": "direct", "interval": 20.0}


def test_without_a_recommendation_the_longest_reversible_step_is_taken() -> None:
    assert make_propagator(phantom()).describe() == {"name": "reversible", "interval": 20.0, "corrections": 1}
    fixed = phantom(fixed_times=[7.0])
    assert make_propagator(fixed).describe() == {"name": "reversible", "interval": 14.0, "corrections": 1}
    assert make_propagator(fixed, "direct").describe() == {"name": "direct", "interval": 7.0}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Direct(phantom(), 30.0), "forecasts 0 to 20 fs ahead, not 30 fs"),
        (lambda: Direct(phantom(), -1.0), "must be positive, not -1 fs"),
        (lambda: Direct(phantom(fixed_times=[7.0]), 5.0), "has no forecast at 5 fs; it forecasts at 7 fs"),
        (lambda: Direct(phantom(history_length=8, history_spacing=1.0), 5.0), "forecasts from 8 frames"),
        (lambda: Reversible(phantom(), 25.0), "forecasts 0 to 20 fs ahead, not 25 fs"),
        (lambda: Reversible(phantom(), 5.0, 0), "at least 1 correction, not 0"),
        (lambda: make_propagator(phantom(), "direct", corrections=2), r"corrections \(2\) belong to the reversible"),
        (lambda: make_propagator(phantom(propagator={"name": "magic"})), "propagator 'magic' is unknown"),
    ],
)
def test_requests_that_no_model_can_serve_are_refused_in_one_sentence(make, sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        make()
