"""Whether and how the forecasts of a simulation are compiled."""

from __future__ import annotations

import os
import shutil
import sys

from forcefree.errors import ForcefreeError
from forcefree.graph import LARGEST_ALL_PAIRS, keeps_all_pairs
from forcefree.models.forecaster import Forecaster
from forcefree.nn.lattice_waves import LARGE_SYSTEM
from forcefree.simulation.choice import make_propagator
from forcefree.simulation.compiled import CompiledForecaster
from forcefree.simulation.compiled_network import can_compile_network, places_of, warm_up, with_compiled_network
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State

_SECONDS_PER_PASS, _SECONDS_PER_ATOM, _SECONDS_PER_PLACE = 2e-3, 4e-5, 5e-6
_WORTH_WHILE = 90.0


class CompilationError(ForcefreeError):
    """A batch that cannot be compiled, or a compiler that failed."""


def choose_compilation(model: Forecaster, start: State, options: SimulationOptions) -> SimulationOptions:
    """Decide whether to compile where the options leave it open: where it can be done and the run is long enough."""
    if options.compile is not None:
        return options
    propagator = make_propagator(model, options.propagator, options.interval, options.corrections)
    passes = propagator.passes * options.schedule(propagator.interval).total
    batch = start.repeat(options.replicas)
    worth = options.device == "cpu" and can_compile(model, batch) and worth_compiling(model, batch, passes)
    return options.model_copy(update={"compile": worth})


def can_compile(model: Forecaster, state: State) -> bool:
    """Whether this batch of this model can run compiled on this machine."""
    compiler = os.environ.get("CXX") or next((name for name in ("g++", "clang++") if shutil.which(name)), None)
    on_cpu = state.positions.device.type == "cpu"
    if sys.platform == "win32" or not (compiler or not on_cpu) or model.card.history_length > 1:
        return False
    return keeps_all_pairs(state) or can_compile_network(model, state)


def worth_compiling(model: Forecaster, state: State, passes: int) -> bool:
    """Whether ``passes`` forecasts of this batch take much longer than a compilation."""
    if keeps_all_pairs(state):
        return passes * (_SECONDS_PER_PASS + _SECONDS_PER_ATOM * state.n_atoms) > _WORTH_WHILE
    return passes * (_SECONDS_PER_PASS + _SECONDS_PER_PLACE * state.n_atoms * places_of(model, state)) > 2.0 * _WORTH_WHILE


def compiled_model(model: Forecaster, state: State, most_times: int) -> Forecaster:
    """The model compiled for this batch, warmed up.

    Args:
        model: Its weights must not change any more.
        state: The batch.
        most_times: The largest number of times that will be asked for at once.

    Raises:
        CompilationError: If it cannot be compiled, or the compiler fails.
    """
    if not can_compile(model, state):
        raise CompilationError(
            f"model {model.card.name} cannot be compiled for this system here: that needs a C++ compiler (g++), a model of one frame, and "
            f"either isolated molecules of at most {LARGEST_ALL_PAIRS} atoms or, of a model that refines its forecast, periodic cells of "
            f"even density, with charges below {LARGE_SYSTEM} atoms; simulate without compilation"
        )
    molecules = keeps_all_pairs(state)
    served = CompiledForecaster(model, state, most_times) if molecules else with_compiled_network(model, state)
    served.eval()
    try:
        if isinstance(served, CompiledForecaster):
            served.warm_up()
        else:
            warm_up(served, state)
    except ForcefreeError:
        raise
    except Exception as error:  # whatever a compiler may say
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CompilationError(f"model {model.card.name} could not be compiled ({reason}); simulate without compilation") from error
    return served
