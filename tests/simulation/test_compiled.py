"""Compiled forecasts, against the model that they were compiled from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from torch import Tensor

from forcefree.data.h5md import read_store
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model
from forcefree.simulation import simulate
from forcefree.simulation.checkpoint import options_of_checkpoint
from forcefree.simulation.choice import make_adaptive
from forcefree.simulation.compilation import can_compile, choose_compilation, compiled_model, worth_compiling
from forcefree.simulation.compiled import CompiledForecaster
from forcefree.simulation.compiled_network import CompiledNetwork
from forcefree.simulation.options import SimulationOptions
from forcefree.simulation.propagators import Direct
from forcefree.state import State

OPTIONS = {"temperature": 300.0, "duration": 100.0, "replicas": 2, "guards": False, "save_every": 2.5, "seed": 3}
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")


@pytest.fixture(scope="module")
def model() -> Forecaster:
    torch.manual_seed(0)
    options = {"channels": 8, "layers": 1, "refinements": 1, "nodes": 2, "refinement_width": 8, "filter_width": 8}
    card = Card(name="small", model="trajcast", options=options, species=[1, 8], t_max=10.0, cutoff=5.0)
    return build_model(card).eval()


def moving(copies: int) -> State:
    state = State.from_atoms([molecule("H2O")] * copies)
    generator = torch.Generator().manual_seed(copies)
    return state.with_(velocities=0.01 * torch.randn(state.n_atoms, 3, generator=generator, dtype=torch.float64))


def ice() -> State:
    """A disordered cell of water, and velocities."""
    generator = torch.Generator().manual_seed(1)
    shaken = Atoms("OHH" * 27, cell=[9.3] * 3, pbc=True)
    sites = 3.1 * torch.cartesian_prod(*[torch.arange(3.0, dtype=torch.float64)] * 3)
    arms = torch.tensor([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]], dtype=torch.float64)
    shaken.positions = (sites[:, None] + arms).flatten(0, 1).numpy() + 0.1 * torch.randn(81, 3, generator=generator).numpy()
    state = State.from_atoms([shaken])
    return state.with_(velocities=0.01 * torch.randn(81, 3, generator=generator, dtype=torch.float64))


@needs_compiler
def test_compiled_forecasts_are_those_of_the_model(model: Forecaster) -> None:
    state = moving(2)
    compiled = CompiledForecaster(model, state, 3)
    compiled.warm_up()
    later = state.with_(positions=state.positions + 0.05 * torch.sin(state.positions), velocities=-2.0 * state.velocities)
    columns = later.with_(positions=later.positions.T.contiguous().T, velocities=later.velocities.repeat(1, 3)[:, :3])
    with torch.inference_mode():
        one, other = (compiled.forecast((each,), torch.tensor([10.0])) for each in (later, columns))
    assert torch.equal(one.positions, other.positions)
    for times in (torch.tensor([10.0]), torch.tensor([2.0, 10.0]), torch.tensor([1.0, 4.0, 8.0])):
        with torch.inference_mode():
            found, expected = compiled.forecast((later,), times), model.forecast((later,), times)
        assert found.positions.shape == expected.positions.shape
        torch.testing.assert_close(found.positions, expected.positions, atol=1e-6, rtol=0.0)
        torch.testing.assert_close(found.velocities, expected.velocities, atol=1e-6, rtol=0.0)
        assert float((found.positions[-1] - later.positions).abs().max()) > 1e-2
    part = later.select(torch.tensor([False, True]))
    with torch.inference_mode():
        alone, again = compiled.forecast((part,), times), compiled.forecast((later,), times)
    torch.testing.assert_close(alone.positions, found.positions[:, 3:], atol=1e-6, rtol=0.0)
    assert torch.equal(again.positions, found.positions), "another batch in between must not disturb the compiled one"


@needs_compiler
def test_several_threads_do_not_stand_in_the_way(model: Forecaster) -> None:
    state, threads = moving(1), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        compiled = CompiledForecaster(model, state, 1)
        compiled.warm_up()
        with torch.inference_mode():
            found, expected = compiled.propagate(state, 10.0), model.propagate(state, 10.0)
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(found.positions, expected.positions, atol=1e-6, rtol=0.0)


@needs_compiler
def test_two_compiled_forecasters_do_not_mistake_each_other(model: Forecaster) -> None:
    """Compiled code is kept by the function that it came from, which both share."""
    torch.manual_seed(1)
    other = build_model(model.card).eval()
    state = moving(2)
    served = [CompiledForecaster(each, state, 3) for each in (model, other)]
    with torch.inference_mode():
        model.forecast((state,), torch.tensor([1.0]))
        other.forecast((state,), torch.tensor([1.0]))
        first, second = (each.propagate(state, 10.0) for each in served)
        again = served[0].propagate(state, 10.0)
        expected = other.propagate(state, 10.0)
    assert torch.equal(first.positions, again.positions)
    torch.testing.assert_close(second.positions, expected.positions, atol=1e-6, rtol=0.0)
    assert float((first.positions - second.positions).abs().max()) > 1e-3


@needs_compiler
def test_another_batch_or_more_times_go_to_the_model(model: Forecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = CompiledForecaster(model, moving(2), 1)

    def refuse(*_: Tensor) -> tuple[Tensor, Tensor]:
        raise AssertionError("compiled code was called")

    monkeypatch.setattr(compiled, "_compiled", refuse)
    with torch.inference_mode():
        other = compiled.forecast((moving(3),), torch.tensor([10.0]))
        more = compiled.forecast((moving(2),), torch.tensor([5.0, 10.0]))
    assert other.positions.shape == (1, 9, 3)
    assert more.positions.shape == (2, 6, 3)


@needs_compiler
@pytest.mark.parametrize("propagator", ["direct", "reversible"])
def test_a_compiled_run_follows_the_plain_one_and_resumes_bit_for_bit(model: Forecaster, tmp_path: Path, propagator: str) -> None:
    chosen = OPTIONS | {"propagator": propagator, "interval": 10.0}
    plain = simulate(model, molecule("H2O"), output=tmp_path / "plain.h5", compile=False, **chosen)
    said: list[str] = []
    whole = simulate(model, molecule("H2O"), output=tmp_path / "whole.h5", compile=True, notice=said.append, **chosen)
    assert said == ["compiling the forecasts of 2 replicas, which takes about half a minute"]
    simulate(model, molecule("H2O"), output=tmp_path / "parts.h5", compile=True, **chosen | {"duration": 40.0})
    assert (options_of_checkpoint(tmp_path / "parts.h5") or {})["compile"] is True
    parts = simulate(model, molecule("H2O"), output=tmp_path / "parts.h5", resume=True, **chosen)
    assert torch.equal(whole.state.positions, parts.state.positions)
    for one, other in zip(read_store(tmp_path / "whole.h5"), read_store(tmp_path / "parts.h5"), strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
    torch.testing.assert_close(plain.state.positions, whole.state.positions, atol=1e-4, rtol=0.0)


@pytest.mark.slow
@needs_compiler
def test_compiled_steps_that_are_halved_are_those_of_the_model() -> None:
    torch.manual_seed(0)
    options = {"channels": 8, "layers": 1, "refinements": 1, "nodes": 2, "refinement_width": 8, "filter_width": 8}
    head = {"channels": 4, "matrix_channels": 2, "layers": 1, "filter_width": 8}
    values = {"name": "small", "model": "trajcast", "options": options, "energy": head, "species": [1, 8], "t_max": 10.0, "cutoff": 5.0}
    with_head = build_model(Card.model_validate(values)).eval()
    for parameter in with_head.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    state = moving(3)
    state = state.with_(velocities=torch.linspace(0.2, 1.5, 3, dtype=torch.float64)[state.system, None] * state.velocities)
    compiled = CompiledForecaster(with_head, state, 1)
    compiled.warm_up()
    freedom = torch.full((3,), 6.0, dtype=torch.float64)
    steppers = [make_adaptive(Direct(each, 10.0), each, 50.0, 2, freedom, "momentum") for each in (with_head, compiled)]
    ends = [state, state]
    for _ in range(4):
        with torch.inference_mode():
            ends = [stepper.step(end) for stepper, end in zip(steppers, ends, strict=True)]
    plain, fast = ends
    torch.testing.assert_close(fast.positions, plain.positions, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(fast.velocities, plain.velocities, atol=1e-5, rtol=0.0)
    assert torch.equal(steppers[0].halved, steppers[1].halved)
    assert 0 < int(steppers[0].halved.min()) < int(steppers[0].halved.max())


def test_long_runs_are_worth_it(model: Forecaster) -> None:
    assert not worth_compiling(model, moving(2), 1000)
    assert worth_compiling(model, moving(64), 100_000)
    assert not worth_compiling(model, ice(), 1000)
    assert worth_compiling(model, ice(), 100_000)


def test_the_choice_is_the_users_first(model: Forecaster) -> None:
    start = State.from_atoms([molecule("H2O")])
    long = SimulationOptions.parse(OPTIONS | {"duration": 1e9}, "test")
    short = SimulationOptions.parse(OPTIONS, "test")
    assert choose_compilation(model, start, short).compile is False
    assert choose_compilation(model, start, long).compile is can_compile(model, start)
    for wish in (True, False):
        assert choose_compilation(model, start, long.model_copy(update={"compile": wish})).compile is wish


def test_surfaces_droplets_and_machines_without_a_compiler_are_refused_in_a_sentence(
    model: Forecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    slab = ice()
    assert not can_compile(model, slab.with_(pbc=torch.tensor([[True, True, False]])))
    assert not can_compile(model, slab.with_(cell=4.0 * slab.cell)), "a droplet has denser surroundings than its cell says"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ForcefreeError, match="cannot be compiled for this system here: that needs a C\\+\\+ compiler"):
        simulate(model, molecule("H2O"), compile=True, **OPTIONS)


def test_what_a_compiler_says_becomes_one_sentence(model: Forecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: CompiledForecaster) -> None:
        raise RuntimeError("no room\nlong story")

    monkeypatch.setattr(CompiledForecaster, "warm_up", fail)
    monkeypatch.setattr("forcefree.simulation.compilation.can_compile", lambda *_: True)
    with pytest.raises(ForcefreeError, match=r"could not be compiled \(no room\); simulate without compilation"):
        simulate(model, molecule("H2O"), compile=True, **OPTIONS)
    monkeypatch.setattr("forcefree.simulation.compilation.worth_compiling", lambda *_: True)
    said: list[str] = []
    plain = simulate(model, molecule("H2O"), compile=False, **OPTIONS)
    found = simulate(model, molecule("H2O"), notice=said.append, **OPTIONS)
    assert torch.equal(found.state.positions, plain.state.positions)
    assert said[1].endswith("simulate without compilation; going on without, at about half the speed")


@needs_compiler
def test_networks_of_periodic_cells_are_compiled_for_all_neighbourhoods(tmp_path: Path) -> None:
    torch.manual_seed(0)
    options = {"channels": 8, "layers": 1, "refinements": 1, "nodes": 2, "refinement_width": 8, "filter_width": 8, "charges": 2}
    model = build_model(Card(name="c", model="trajcast", options=options, species=[1, 8], t_max=10.0, cutoff=4.0)).eval()
    for parameter in model.parameters():
        parameter.data = parameter.data + 0.1 * torch.randn(parameter.shape)
    state = ice()
    served = compiled_model(model, state, 1)
    network = served.network
    assert isinstance(network, CompiledNetwork)
    plain, counted = network.network, []
    monitored = network._compiled
    network._compiled = lambda *given: counted.append(1) or monitored(*given)
    generator = torch.Generator().manual_seed(2)
    squeezed = state.with_(positions=0.6 * state.positions)
    for start, compiled in ((state, True), (shaken(state, generator), True), (squeezed, False), (state.repeat(2), False)):
        counted.clear()
        with torch.inference_mode():
            found, expected = served.propagate(start, 10.0), model.propagate(start, 10.0)
        torch.testing.assert_close(found.positions, expected.positions, atol=1e-5, rtol=0.0)
        assert float((found.positions - start.positions - 10.0 * start.velocities).abs().max()) > 1e-2
        assert bool(counted) is compiled
    assert plain is not model.network, "the model itself stays as it was"


def shaken(state: State, generator: torch.Generator) -> State:
    return state.with_(positions=state.positions + 0.1 * torch.randn(state.positions.shape, generator=generator, dtype=torch.float64))


@needs_compiler
def test_a_compiled_run_of_a_cell_resumes_bit_for_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    options = {"channels": 8, "layers": 1, "refinements": 1, "nodes": 2, "refinement_width": 8, "filter_width": 8}
    model = build_model(Card(name="calm", model="trajcast", options=options, species=[1, 8], t_max=10.0, cutoff=5.0)).eval()
    model.set_scales(torch.full((2,), 0.01), torch.full((2,), 0.001))
    chosen = OPTIONS | {"interval": 10.0, "propagator": "direct", "compile": True, "replicas": 1, "save_every": 10.0, "duration": 40.0}
    whole = simulate(model, ice(), output=tmp_path / "whole.h5", **chosen)
    simulate(model, ice(), output=tmp_path / "parts.h5", **(chosen | {"duration": 20.0}))
    parts = simulate(model, ice(), output=tmp_path / "parts.h5", resume=True, **chosen)
    assert torch.equal(parts.state.positions, whole.state.positions)
    assert float((parts.state.positions - ice().positions).abs().max()) > 0.1
    plain = simulate(model, ice(), **(chosen | {"compile": False}))
    torch.testing.assert_close(parts.state.positions, plain.state.positions, atol=1e-5, rtol=0.0)
