"""From a model, a start and options to an engine ready for its first step."""

from __future__ import annotations

import torch

from forcefree.cells import check_cell
from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.beginning import first_steps, repeated
from forcefree.simulation.bodies import Bodies
from forcefree.simulation.choice import USUAL_HALVINGS, keeps_energy, make_adaptive, make_propagator
from forcefree.simulation.compilation import compiled_model
from forcefree.simulation.csvr_elements import CSVRElements
from forcefree.simulation.energy_keeper import EnergyKeeper
from forcefree.simulation.energy_monitor import EnergyMonitor
from forcefree.simulation.engine import Engine
from forcefree.simulation.guards import Guards, Limits
from forcefree.simulation.heat_meter import HeatMeter
from forcefree.simulation.options import SimulationOptions
from forcefree.simulation.propagators import Propagator
from forcefree.simulation.schedule import Schedule
from forcefree.simulation.thermostats import CSVR, Equilibration, Langevin, NoThermostat, Thermostat, ThermostatName
from forcefree.simulation.window import Window
from forcefree.state import State
from forcefree.streams import Streams
from forcefree.temperature import degrees_of_freedom, kinetic_temperature
from forcefree.velocities import HOTTEST, allowed, maxwell_boltzmann

_THERMOSTATS: dict[ThermostatName, type[CSVR] | type[CSVRElements] | type[Langevin]] = {
    "csvr": CSVR,
    "csvr-elements": CSVRElements,
    "langevin": Langevin,
}


def build_engine(model: Forecaster, start: State, options: SimulationOptions, earlier: tuple[State, ...] = ()) -> tuple[Engine, Schedule]:
    """Make the engine of a simulation.

    Args:
        model: A forecaster.
        start: One or more systems, each of which is copied ``options.replicas`` times.
        options: What to simulate.
        earlier: Frames before the start, oldest first, for a model of several frames; its velocities are then those of the
            start.

    Returns:
        The engine at its start, its clock at minus the time of equilibration, and its schedule.

    Raises:
        ForcefreeError: If the model cannot serve the start or the options, or the start has impossible velocities.
    """
    model.check_system(start)
    for cell, pbc in zip(start.cell.cpu().numpy(), start.pbc.cpu().numpy(), strict=True):
        check_cell(cell, pbc, model.card.cutoff, "the start")
    model.card.check_temperature(options.temperature)
    propagator = make_propagator(model, options.propagator, options.interval, options.corrections)
    schedule = options.schedule(propagator.interval)
    for times in {schedule.frames_per_step: schedule.offsets}.values():
        _check_offsets(model, propagator, times)
    device = find_device(options.device)
    model.to(device)
    model.tabulate()
    state = start.repeat(options.replicas).to(device)
    state = state.with_(time=torch.full_like(state.time, -schedule.equilibration * schedule.interval))
    served = model
    if options.compile:
        served = compiled_model(model, state, propagator.most_times(schedule.frames_per_step))
        propagator = make_propagator(served, options.propagator, options.interval, options.corrections)
    if options.tolerance is not None:
        freedom = degrees_of_freedom(state, options.conserved, bending=True)
        propagator = make_adaptive(propagator, served, options.tolerance, options.halvings or USUAL_HALVINGS, freedom, options.conserved)
    names = tuple(range(options.first_replica, options.first_replica + state.n_systems))
    streams = Streams(options.seed, names)
    state = _with_velocities(state, options, streams)
    if isinstance(propagator, Window):
        state = _begun(propagator, state, options, (*earlier, start) if earlier else ())
    guards = _guards(model, state, options) if options.guards else None
    bodies = Bodies(state, options.conserved)
    thermostat = _thermostat(state, options, schedule, streams, bodies)
    monitor = EnergyMonitor(model, bodies, state) if model.knows_energy else None
    keeper = EnergyKeeper(model, bodies) if keeps_energy(model, options.propagator, options.keep_energy) else None
    meter = None
    if options.measures_heat:
        meter = HeatMeter(state, bodies, schedule.equilibration, apart=options.thermostat != "csvr")
    engine = Engine(propagator, thermostat, state, bodies=bodies, guards=guards, monitor=monitor, keeper=keeper, meter=meter, names=names)
    return engine, schedule


def _begun(propagator: Window, state: State, options: SimulationOptions, history: tuple[State, ...]) -> State:
    """Give the propagator its first window; returns the last frame of it."""
    card = propagator.model.card
    if history:
        propagator.begin(repeated(history, options.replicas, state))
        return state
    if options.bootstrap is None:
        raise ForcefreeError(
            f"model {card.name} starts from {card.history_length} frames {card.history_spacing:g} fs apart; start from a trajectory (.h5) that ends "
            "with them, or let bootstrap name who makes them: a model of one frame such as trajcast-ethanol, or reference"
        )
    window = first_steps(state, card, options.bootstrap)
    propagator.begin(window)
    return window[-1]


def _check_offsets(model: Forecaster, propagator: Propagator, offsets: torch.Tensor) -> None:
    """Refuse frames inside a step of a model that has fixed times only."""
    if len(offsets) > 1 and model.card.fixed_times is not None:
        try:
            model.card.check_times(offsets)
        except ForcefreeError as error:
            raise ForcefreeError(
                f"model {model.card.name} forecasts at fixed times only; save every {propagator.interval:g} fs, or a multiple of that"
            ) from error


def find_device(name: str) -> torch.device:
    """A device that can be used here.

    Raises:
        ForcefreeError: If it cannot.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ForcefreeError(f"device '{name}' cannot be used here; write cpu, or cuda on a machine with an NVIDIA GPU") from error
    return device


def _with_velocities(state: State, options: SimulationOptions, streams: Streams) -> State:
    if options.draws_velocities:
        assert options.temperature is not None
        return maxwell_boltzmann(state, options.temperature, streams, options.conserved)
    if not bool(state.velocities.any()):
        raise ForcefreeError("the start has no velocities; give a temperature at which to draw them, such as 300 K")
    hottest = float(kinetic_temperature(state, "nothing", degrees_of_freedom(state, "nothing")).max())
    if not hottest < HOTTEST:
        raise ForcefreeError(
            f"the start has velocities of {hottest:.3g} K, beyond any molecule; they are probably in another unit than Å/fs (ASE's own in a file)"
        )
    if options.conserved == "momentum and rotation":
        return state.with_(velocities=allowed(state, state.velocities, options.conserved))
    if options.ensemble == "nvt":
        return state.with_(velocities=allowed(state, state.velocities, "momentum"))
    return state


def _guards(model: Forecaster, state: State, options: SimulationOptions) -> Guards:
    limits = Limits.of(model.card, isolated=bool(state.isolated.all()))
    guards = Guards(limits, state, degrees_of_freedom(state, options.conserved, bending=True), options.temperature)
    broken = guards.broken(state, torch.zeros_like(state.time))
    if broken:
        raise ForcefreeError(
            f"the simulation cannot start because {next(iter(broken.values()))}; relax the start structure or check its units"
        )
    return guards


def _thermostat(state: State, options: SimulationOptions, schedule: Schedule, streams: Streams, bodies: Bodies) -> Thermostat:
    """That of NVT; of NVE with a temperature the same while it equilibrates."""
    if options.temperature is None or not options.thermostatted:
        return NoThermostat()
    thermostat = _THERMOSTATS[options.thermostat](state, options.temperature, options.thermostat_time, schedule.interval, streams, bodies)
    return thermostat if options.ensemble == "nvt" else Equilibration(thermostat, schedule.equilibration)
