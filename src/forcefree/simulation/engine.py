"""The engine: one batch of replicas, one step at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from forcefree.models.forecaster import Frames
from forcefree.simulation.adaptive import Adaptive
from forcefree.simulation.bodies import Bodies
from forcefree.simulation.energy_keeper import EnergyKeeper
from forcefree.simulation.energy_monitor import EnergyMonitor
from forcefree.simulation.guards import Guards
from forcefree.simulation.heat_meter import HeatMeter
from forcefree.simulation.propagators import Propagator
from forcefree.simulation.thermostats import Thermostat
from forcefree.simulation.window import Window
from forcefree.state import State
from forcefree.temperature import degrees_of_freedom
from forcefree.units import BOLTZMANN


@dataclass(frozen=True)
class Stop:
    """Why and when a replica was stopped.

    Attributes:
        time: fs of its last good state.
        reason: A sentence that names the replica, the time and the value.
    """

    time: float
    reason: str


class Engine:
    """Advance replicas together.

    A step is thermostat, propagator, thermostat, as the thermostat wants. After the propagator the angular momentum of isolated systems
    is put back to its initial value (under a thermostat that lets them rotate, to the value before the propagator), and
    the total energy where it is to be kept; in the end the guards look. A replica that a guard stops stays at its last good state and keeps its place in the batch, so that
    the arithmetic of the others stays the same: to the last bit for isolated molecules, to rounding in periodic systems, whose lists
    of pairs are as wide as the most crowded atom of the batch asks for.

    Args:
        propagator: The dynamics.
        thermostat: The ensemble.
        state: Start of every replica, with velocities; each system is one replica.
        bodies: Mechanics of the batch, with what stays at zero.
        guards: When to stop a replica; never when not given.
        monitor: Estimates how the total energy drifts; nobody does when not given.
        keeper: Keeps the total energy of the dynamics; it goes where the model leads it when not given.
        meter: Measures the heat that the forecasts make; nobody does when not given.
        names: Numbers of the replicas for messages; 0, 1, ... when not given.
    """

    def __init__(
        self,
        propagator: Propagator,
        thermostat: Thermostat,
        state: State,
        *,
        bodies: Bodies,
        guards: Guards | None = None,
        monitor: EnergyMonitor | None = None,
        keeper: EnergyKeeper | None = None,
        meter: HeatMeter | None = None,
        names: tuple[int, ...] | None = None,
    ) -> None:
        self.propagator = propagator
        self.thermostat = thermostat
        self.bodies = bodies
        self.guards = guards
        self.monitor = monitor
        self.keeper = keeper
        self.meter = meter
        self.names = names if names is not None else tuple(range(state.n_systems))
        self.freedom = degrees_of_freedom(state, bodies.conserved, bending=True)
        self.state = state
        self.steps = 0
        self.origin = state.time.clone()
        self.stopped: dict[int, Stop] = {}
        self.running = torch.ones(state.n_systems, dtype=torch.bool, device=state.time.device)
        self._fixed_rotation = bodies.conserved == "momentum and rotation" or not thermostat.turns
        self.rotation = bodies.angular_momentum(state.positions, state.velocities)

    @property
    def time(self) -> float:
        """Fs since the start, exact however many steps were taken."""
        return self.steps * self.propagator.interval

    def move(self, positions: Tensor, velocities: Tensor) -> None:
        """Go on from elsewhere: another program has changed positions (Å) or velocities (Å/fs), both (n_atoms, 3)."""
        moved = self.state.with_(positions=positions, velocities=velocities)
        if self.monitor is not None:
            self.monitor.rebase(self.state, moved)
        self.state = moved
        self.rotation = self.bodies.angular_momentum(positions, velocities)

    def temperatures(self) -> Tensor:
        """Kinetic temperature of every replica in K, shape (n_systems,)."""
        return self._temperatures(self.state.velocities)

    def _temperatures(self, velocities: Tensor) -> Tensor:
        return self.bodies.kinetic_energy(velocities) * (2.0 / BOLTZMANN) / self.freedom

    def residual(self) -> Tensor | None:
        """Reversal residual of the propagator at the present state in Å, shape (n_systems,); None where it has none."""
        with torch.inference_mode():
            return self.propagator.residual(self.state)

    @property
    def adaptive(self) -> Adaptive | None:
        """The propagator, where it halves steps."""
        return self.propagator if isinstance(self.propagator, Adaptive) else None

    def drift(self) -> tuple[Tensor, Tensor] | None:
        """Estimated potential energy now, and energy that the dynamics has gained since the start, kept or not.

        Returns:
            eV, each of shape (n_systems,); None without a monitor.
        """
        if self.monitor is None:
            return None
        potential = self.monitor.potential(self.state)
        return potential, self.monitor.drift(potential)

    def drift_rates(self) -> dict[int, float]:
        """Estimated drift of the total energy since the start in meV per atom and ps, by system; of those that still run."""
        found = self.drift()
        if found is None or self.steps == 0:
            return {}
        rates = (1e6 / self.time * found[1] / self.state.sizes).tolist()
        return {system: rates[system] for system in self.running.nonzero()[:, 0].tolist()}

    def heat(self) -> dict[int, dict[str, float]]:
        """Heat that the forecasts made after equilibration, meV per atom and ps, by system and there by element; of those that still run."""
        if self.meter is None:
            return {}
        rates, steps = self.meter.rates(self.propagator.interval), self.meter.steps()
        return {system: rates[system] for system in self.running.nonzero()[:, 0].tolist() if steps[system]}

    def heat_times(self) -> dict[int, float]:
        """Time over which :meth:`heat` was measured, fs, by system."""
        steps = [] if self.meter is None else self.meter.steps()
        return {system: count * self.propagator.interval for system, count in enumerate(steps)}

    def _parts(self) -> list[Window | Adaptive | EnergyMonitor | HeatMeter]:
        """What remembers more than the state."""
        own = self.propagator if isinstance(self.propagator, (Window, Adaptive)) else None
        return [part for part in (own, self.monitor, self.meter) if part is not None]

    def memory(self) -> dict[str, Tensor]:
        """What a run that goes on must know beside the state: histories and counts."""
        return {name: value for part in self._parts() for name, value in part.memory().items()}

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Go on with what :meth:`memory` gave."""
        for part in self._parts():
            part.recall(memory)

    def step(self, times: Tensor | None = None) -> Frames | None:
        """Take one step.

        Args:
            times: fs inside the step at which frames are wanted, increasing, ending with the interval, shape (n_times,).

        Returns:
            These frames (of a stopped replica: its last good state), or None where no times were given. The last frame
            is the state after the thermostat.
        """
        with torch.inference_mode():
            before = self.thermostat.before(self.state, self.steps)
            if self.adaptive is not None:
                self.adaptive.running = self.running
            frames = None if times is None else self.propagator.trace(before, times)
            moved = self.propagator.step(before) if frames is None else frames.state(-1, before)
            turned = self._turned(before, moved)
            kept = turned if self.keeper is None else self.keeper.kept(before, turned)
            after = self.thermostat.after(kept, self.steps)
            elapsed = (self.origin + (self.steps + 1) * self.propagator.interval).to(after.time)
            after = self._guarded(after.with_(time=elapsed))
            if self.monitor is not None:
                self.monitor.add(before.velocities, turned.velocities, self.running)
            if self.meter is not None:
                self.meter.add(before.velocities, turned.velocities, self.running, self.steps)
            self.steps += 1
            self.state = after
            return None if frames is None else self._final(frames, after)

    def _turned(self, before: State, moved: State) -> State:
        """The state with the angular momentum that it must have."""
        if not self.bodies.any_isolated:
            return moved
        target = self.rotation if self._fixed_rotation else self.bodies.angular_momentum(before.positions, before.velocities)
        return moved.with_(velocities=self.bodies.turned(moved.positions, moved.velocities, target))

    def _guarded(self, after: State) -> State:
        """Stop replicas that went wrong, and hold those that have been stopped."""
        if self.guards is not None:
            broken = self.guards.broken(after, self._temperatures(after.velocities))
            for system, reason in broken.items():
                if bool(self.running[system]):
                    time = float(self.state.time[system])
                    sentence = f"replica {self.names[system]} was stopped after {time:g} fs because {reason}"
                    self.stopped[system] = Stop(time, sentence)
                    self.running[system] = False
        return held(after, self.state, self.running) if self.stopped else after

    def _final(self, frames: Frames, after: State) -> Frames:
        """Frames that end with the thermostatted state; those of stopped replicas are at rest."""
        positions, velocities = frames.positions.clone(), frames.velocities.clone()
        positions[-1], velocities[-1] = after.positions, after.velocities
        if self.stopped:
            atoms = self.running[after.system][:, None]
            positions = torch.where(atoms, positions, after.positions)
            velocities = torch.where(atoms, velocities, after.velocities)
        return Frames(times=frames.times, positions=positions, velocities=velocities)


def held(after: State, before: State, running: Tensor) -> State:
    """``after`` for the systems that run (n_systems,), ``before`` for the others."""
    atoms = running[after.system][:, None]
    return after.with_(
        positions=torch.where(atoms, after.positions, before.positions),
        velocities=torch.where(atoms, after.velocities, before.velocities),
        time=torch.where(running, after.time, before.time),
    )
