"""Adaptive steps: what the energy head does not believe is done again in halves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster, Frames
from forcefree.simulation.propagators import Propagator, ending_at, tamed
from forcefree.state import State
from forcefree.temperature import Conserved, kinetic_energy


class Adaptive:
    """Any propagator of one-frame models, with steps that are halved where the total energy is not kept.

    After a step the change of the total energy, potential by the energy head and kinetic exactly, is compared with a
    tolerance for each replica. Replicas beyond it go back and take two steps of half the length, together as a batch of
    their own, and so on down to the shortest step, which is taken as it is. The others keep what they have. Each half has
    the whole tolerance again. The answer of a replica depends on its batch-mates only to rounding, since how many are done
    again together sets the order in which a processor adds.

    Args:
        levels: The same propagator at its full interval, half of it, a quarter, ...; at least two.
        model: With an energy head.
        tolerance: eV per degree of freedom.
        freedom: Degrees of freedom of each replica, shape (n_systems,).
        conserved: What the dynamics keeps at zero.

    Attributes:
        halved: How many segments of each replica have been done again in halves, shape (n_systems,).
        strained: How many segments of the shortest length were beyond the tolerance and kept, shape (n_systems,).
        running: Replicas that are watched, shape (n_systems,).

    Raises:
        ForcefreeError: If the model has no energy head or the tolerance is not positive.
    """

    def __init__(
        self, levels: Sequence[Propagator], model: Forecaster, tolerance: float, freedom: Tensor, conserved: Conserved = "momentum"
    ) -> None:
        if not model.knows_energy:
            raise ForcefreeError(
                f"a tolerance needs a model with an energy head, and {model.card.name} has none; train one with potential_weight, "
                "or leave the tolerance out"
            )
        if not tolerance > 0.0:
            raise ForcefreeError(f"a tolerance must be positive, not {1000.0 * tolerance:g} meV per degree of freedom")
        self._levels, self._model, self._conserved = tuple(levels), model, conserved
        self._limit = tolerance * freedom
        self.tolerance = tolerance
        self.name, self.interval, self.passes = levels[0].name, levels[0].interval, levels[0].passes
        self.running = torch.ones_like(freedom, dtype=torch.bool)
        self.halved = torch.zeros_like(freedom, dtype=torch.int64)
        self.strained = torch.zeros_like(self.halved)
        self._known: tuple[Tensor, Tensor] | None = None

    def describe(self) -> dict[str, object]:
        """The propagator, its tolerance (meV per degree of freedom) and its shortest step (fs)."""
        return {**self._levels[0].describe(), "tolerance": 1000.0 * self.tolerance, "shortest": self._levels[-1].interval}

    def most_times(self, frames: int) -> int:
        """Those of a whole step."""
        return self._levels[0].most_times(frames)

    def step(self, state: State) -> State:
        """The state one interval later."""
        return self.trace(state, torch.tensor([self.interval], dtype=torch.float64)).state(0, state)

    def trace(self, state: State, times: Tensor) -> Frames:
        """Frames of a step; arguments as :meth:`Propagator.trace`."""
        who = torch.arange(state.n_systems, device=state.time.device)
        frames, potential = self._checked(0, state, self._potential(state), times, who)
        self._known = (frames.positions[-1], potential)
        return frames

    def residual(self, state: State) -> Tensor | None:
        """That of a whole step."""
        return self._levels[0].residual(state)

    def memory(self) -> dict[str, Tensor]:
        """What a run that goes on must know."""
        kept = {"halved": self.halved, "strained": self.strained}
        if self._known is not None:
            kept |= {"adaptive_positions": self._known[0], "adaptive_potential": self._known[1]}
        return kept

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Go on with what :meth:`memory` gave."""
        self.halved, self.strained = memory["halved"], memory["strained"]
        if "adaptive_positions" in memory:
            self._known = (memory["adaptive_positions"], memory["adaptive_potential"])

    def _potential(self, state: State) -> Tensor:
        """Potential energy, that of the end of the last step where the next begins there."""
        if self._known is not None and torch.equal(self._known[0], state.positions):
            return self._known[1]
        return self._model.potential_energy(state)

    def _checked(self, level: int, state: State, before: Tensor, times: Tensor, who: Tensor) -> tuple[Frames, Tensor]:
        """Frames of one segment and the potential energies at its end.

        Args:
            level: How often the interval is halved.
            state: Start of the segment.
            before: Potential energies there, eV, shape (n_systems,).
            times: fs inside the segment, the last one its length.
            who: Replicas that the systems of ``state`` are, shape (n_systems,).
        """
        frames = self._levels[level].trace(state, times)
        end = frames.state(-1, state)
        after = self._model.potential_energy(end)
        change = after - before + kinetic_energy(end, self._conserved) - kinetic_energy(state, self._conserved)
        beyond = ~(change.abs() <= self._limit[who]) & self.running[who]
        if not bool(beyond.any()):
            return frames, after
        if level + 1 == len(self._levels):
            self.strained[who] += beyond.to(torch.int64)
            return frames, after
        self.halved[who] += beyond.to(torch.int64)
        again, finer = self._in_halves(level + 1, state.select(beyond), before[beyond], times, who[beyond])
        atoms = beyond[state.system]
        positions, velocities, after = frames.positions.clone(), frames.velocities.clone(), after.clone()
        positions[:, atoms], velocities[:, atoms], after[beyond] = again.positions, again.velocities, finer
        return Frames(frames.times, positions, velocities), after

    def _in_halves(self, level: int, state: State, before: Tensor, times: Tensor, who: Tensor) -> tuple[Frames, Tensor]:
        """As :meth:`_checked`, by two segments of the given level."""
        half = self._levels[level].interval
        early = times[times <= half * (1.0 + 1e-9)].clamp(max=half)
        first, between = self._checked(level, state, before, ending_at(early, half), who)
        middle, lost = tamed(first.state(-1, state), state)
        between = torch.where(between.isfinite(), between, before)
        second, after = self._checked(level, middle, between, times[len(early) :] - half, who)
        positions = torch.cat([first.positions[: len(early)], second.positions])
        velocities = torch.cat([first.velocities[: len(early)], second.velocities])
        if lost is not None:
            positions = torch.where(lost[:, None], torch.nan, positions)
            velocities = torch.where(lost[:, None], torch.nan, velocities)
        return Frames(times.to(positions)[:, None].expand(-1, state.n_systems), positions, velocities), after
