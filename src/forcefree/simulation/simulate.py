"""Run a simulation from start to end: steps, frames, log, checkpoints, progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.graph import keeps_all_pairs
from forcefree.memory import keep_freed_memory
from forcefree.models.files import load
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.beginning import check_bootstrap
from forcefree.simulation.building import build_engine
from forcefree.simulation.checkpoint import Identity, checkpoint_path, options_of_checkpoint
from forcefree.simulation.choice import keeps_energy
from forcefree.simulation.compilation import CompilationError, choose_compilation
from forcefree.simulation.elements import Elements
from forcefree.simulation.engine import Engine
from forcefree.simulation.options import SimulationOptions
from forcefree.simulation.progress import ProgressCallback
from forcefree.simulation.recording import MemoryReporter
from forcefree.simulation.run import Run
from forcefree.simulation.start import Start, read_history
from forcefree.simulation.surroundings import check_neighbours, strange_cells
from forcefree.state import State


@dataclass(frozen=True)
class Simulation:
    """What a simulation leaves behind.

    Attributes:
        state: The last good state of every replica.
        time: Recorded time in fs.
        stopped: A sentence for every replica that a guard stopped, by number of the replica.
        output: The trajectory file, None where frames stayed in memory.
        log: The CSV table beside it.
        ns_per_day: Simulated time of all replicas together, per day of wall-clock time, in this call.
        propagator: Name, interval (fs) and corrections of the propagator.
        energy_drift: Drift of the total energy in meV per atom and ps, equilibration included, as the model's energy head
            estimates it, by number of the replica; empty for a model without one. Where the energy was kept, what was taken out.
        heat: Heat that the forecasts of an NVT run made after equilibration, and a thermostat or the kept energy took out: meV per atom and ps,
            by number of the replica; in each of the whole system (``all``) and, where the thermostat acts on each by itself, of every element.
            Empty for a run that is not equilibrated and whose velocities are drawn, because a relaxed start takes up heat of its own.
        kept_energy: Whether velocities were scaled after every step so that the dynamics kept the total energy.
        halved: Segments that were done again in halves for the tolerance, over all replicas; None without a tolerance.
        over_tolerance: Segments of the shortest length that were beyond the tolerance and taken all the same.
    """

    state: State
    time: float
    stopped: dict[int, str]
    output: Path | None
    log: Path | None
    ns_per_day: float
    propagator: dict[str, object]
    energy_drift: dict[int, float]
    heat: dict[int, dict[str, float]] = field(default_factory=dict)
    kept_energy: bool = False
    halved: int | None = None
    over_tolerance: int | None = None
    _memory: tuple[Trajectory, ...] = ()

    def trajectories(self) -> Iterator[Trajectory]:
        """The recorded frames of one replica after another.

        Raises:
            ForcefreeError: If they were written as extended XYZ, which ASE reads.
        """
        if self.output is None:
            yield from self._memory
        elif self.output.suffix in (".xyz", ".extxyz"):
            raise ForcefreeError(f"{self.output} is extended XYZ; read it with ase.io.read, or simulate to an .h5 file")
        else:
            yield from read_store(self.output)


def simulate(
    model: Forecaster | str | Path,
    start: Start | tuple[State, ...],
    *,
    output: str | Path | None = None,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    notice: Callable[[str], None] | None = None,
    checkpoint_every: float = 15.0,
    **options: Any,
) -> Simulation:
    """Simulate replicas of a system with a forecaster.

    >>> simulate("trajcast-ethanol", "ethanol", temperature=300, duration="1 ns", replicas=64, output="traj.h5")  # doctest: +SKIP

    Args:
        model: A loaded model, a model file, or a bundled name.
        start: A structure file, a bundled or ASE name, ASE structures, or a state; or a trajectory file (.h5), to go on from
            the last frame of each of its trajectories that no guard stopped (with its velocities where
            ``velocities="start"``, or where there is no temperature). For a model of several frames a trajectory file
            that ends with them, or the states themselves, oldest first.
        output: H5MD (``.h5``) or extended XYZ (``.extxyz``) file; frames stay in memory when not given. A CSV log and a
            checkpoint are kept beside it.
        resume: Go on from the checkpoint beside ``output``, or begin where there is none; with a longer duration a
            finished run is extended.
        progress: Told about twice a second how far and how fast.
        notice: Told in a sentence what takes long before the first step, and which trajectories of the start are left out.
        checkpoint_every: Seconds of wall-clock time between checkpoints.
        **options: Fields of :class:`SimulationOptions`, such as ``ensemble``, ``temperature`` (K), ``duration`` (fs, or
            text with a unit), ``replicas``, ``thermostat``, ``propagator``, ``save_every``, ``seed``.

    Returns:
        Final state, stopped replicas, and where the frames are.

    Raises:
        ForcefreeError: If an input, option or file cannot be used; what had been written stays readable.
    """
    keep_freed_memory()
    chosen = SimulationOptions.parse(options, "simulation")
    forecaster = model if isinstance(model, Forecaster) else load(model)
    check_bootstrap(forecaster.card, chosen.bootstrap)
    tell = notice or (lambda _: None)
    *earlier, state = read_history(start, forecaster, tell)
    if earlier:
        chosen = _continued(chosen)
    forecaster.eval()
    path = None if output is None else Path(output)
    if chosen.guards and not (resume and path is not None and checkpoint_path(path).exists()):
        check_neighbours(forecaster.card, state)
        for sentence in strange_cells(forecaster.card, state):
            tell(sentence)
    wanted = _as_begun(chosen, path if resume else None)
    chosen = choose_compilation(forecaster, state, wanted)
    if chosen.compile:
        tell(
            f"compiling the forecasts of {state.n_systems * chosen.replicas} replicas, which takes about {'half a' if keeps_all_pairs(state) else 'a'} minute"
        )
    try:
        engine, schedule = build_engine(forecaster, state, chosen, tuple(earlier))
    except CompilationError as error:
        if wanted.compile is not None:
            raise
        tell(f"{error}; going on without, at about half the speed")
        chosen = chosen.model_copy(update={"compile": False})
        engine, schedule = build_engine(forecaster, state, chosen, tuple(earlier))
    _warn_of_noise(forecaster, engine, chosen, tell)
    _warn_of_cold(chosen, tell)
    _warn_of_lone_elements(chosen, state, tell)
    identity = Identity.of(forecaster, state, chosen, earlier)
    run = Run(engine, schedule, identity, path, provenance(forecaster, chosen, engine.propagator.describe()))
    with run.alone():
        run.open(resume=resume)
        run.advance(progress, checkpoint_every)
    kept = tuple(run.reporter.trajectories) if isinstance(run.reporter, MemoryReporter) else ()
    return Simulation(
        state=engine.state,
        time=(engine.steps - schedule.equilibration) * schedule.interval,
        stopped={engine.names[system]: stop.reason for system, stop in sorted(engine.stopped.items())},
        output=path,
        log=run.log_path,
        ns_per_day=run.ns_per_day,
        propagator=engine.propagator.describe(),
        energy_drift={engine.names[system]: rate for system, rate in engine.drift_rates().items()},
        heat={engine.names[system]: rates for system, rates in engine.heat().items()},
        kept_energy=engine.keeper is not None,
        halved=None if engine.adaptive is None else int(engine.adaptive.halved.sum()),
        over_tolerance=None if engine.adaptive is None else int(engine.adaptive.strained.sum()),
        _memory=kept,
    )


def _warn_of_cold(options: SimulationOptions, tell: Callable[[str], None]) -> None:
    """Say that velocities which are drawn for a relaxed structure do not stay as hot."""
    if options.ensemble == "nve" and options.draws_velocities and not options.equilibration:
        tell(
            f"velocities are drawn at {options.temperature:g} K, of which a relaxed start soon keeps about half; equilibrate before, such as for "
            "5ps, or start from the trajectory of an nvt run"
        )


def _warn_of_lone_elements(options: SimulationOptions, state: State, tell: Callable[[str], None]) -> None:
    """Say which elements a thermostat for each element cannot hold."""
    if options.thermostat != "csvr-elements" or not options.thermostatted:
        return
    elements = Elements.of(state)
    lone = sorted({symbol for symbol, size in zip(elements.symbols, elements.sizes.tolist(), strict=True) if size == 1})
    if lone:
        tell(f"an element with one atom has no thermostat of its own: {', '.join(lone)} shares that of the centres of the elements")


def _warn_of_noise(model: Forecaster, engine: Engine, options: SimulationOptions, tell: Callable[[str], None]) -> None:
    """Say where a tolerance asks for more than the energy head can see."""
    error = model.card.training.get("validation", {}).get("val_change_mae")
    if options.tolerance is None or error is None:
        return
    own = float((1000.0 * error * engine.state.sizes / engine.freedom).max())
    if options.tolerance < own:
        tell(
            f"the tolerance of {options.tolerance:g} meV per degree of freedom is below the error of {own:.2g} meV that the energy head of "
            f"{model.card.name} itself makes over {model.card.t_max:g} fs; many steps will be halved for nothing"
        )


def _as_begun(options: SimulationOptions, output: Path | None) -> SimulationOptions:
    """Options of a run that goes on: compiled, or not, as it began, where they leave that open."""
    begun = None if output is None or options.compile is not None else options_of_checkpoint(output)
    return options if begun is None else options.model_copy(update={"compile": begun.get("compile", False)})


def _continued(options: SimulationOptions) -> SimulationOptions:
    """Options of a run that begins in the middle of a motion."""
    if options.velocities == "maxwell-boltzmann":
        raise ForcefreeError("velocities cannot be drawn for a start of several frames; start from one frame with bootstrap")
    if options.bootstrap is not None:
        raise ForcefreeError(f"the start has all first frames, so bootstrap ({options.bootstrap}) has none to make; leave it out")
    return options.model_copy(update={"velocities": "start"})


def provenance(model: Forecaster, options: SimulationOptions, propagator: dict[str, object]) -> dict[str, Any]:
    """JSON values that say how the frames of a simulation were made."""
    return {
        "model": model.card.name,
        "level_of_theory": model.card.level_of_theory,
        "calculator": model.card.calculator,
        "temperature": options.temperature,
        "ensemble": options.ensemble,
        "thermostat": options.thermostat if options.ensemble == "nvt" else None,
        "thermostat_time": options.thermostat_time if options.ensemble == "nvt" else None,
        "rotation": options.conserved == "momentum",
        "propagator": propagator,
        "keep_energy": keeps_energy(model, options.propagator, options.keep_energy),
        "seed": options.seed,
        "velocities": "recorded",
    }
