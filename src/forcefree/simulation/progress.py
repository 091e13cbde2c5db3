"""How far a simulation is, how fast it goes and when it will be done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_FEMTOSECONDS_PER_NS = 1.0e6
_SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True)
class Progress:
    """A report to whoever waits.

    Attributes:
        step: Steps taken, equilibration included.
        total: Steps in all.
        time: Recorded time in fs; negative during equilibration.
        ns_per_day: Simulated time of all running replicas together, per day of wall-clock time.
        eta: Seconds until the end.
        temperature: Mean kinetic temperature of the running replicas in K.
        running: Replicas that still run.
    """

    step: int
    total: int
    time: float
    ns_per_day: float
    eta: float
    temperature: float
    running: int


ProgressCallback = Callable[[Progress], None]


class Clock:
    """Measure speed and say when a report or a checkpoint is due.

    Args:
        interval: Length of a step in fs.
        every: Seconds between checkpoints.
    """

    def __init__(self, interval: float, every: float) -> None:
        self._interval = interval
        self._every = every
        self._begin = self._saved = self._told = time.perf_counter()
        self.simulated = 0.0
        self.steps = 0

    @property
    def seconds(self) -> float:
        """Since the clock was made."""
        return time.perf_counter() - self._begin

    @property
    def ns_per_day(self) -> float:
        """Simulated time of all replicas together, per day."""
        return self.simulated / _FEMTOSECONDS_PER_NS / max(self.seconds, 1e-9) * _SECONDS_PER_DAY

    def tick(self, running: int) -> tuple[bool, bool]:
        """Count a step of ``running`` replicas; returns whether a report and whether a checkpoint is due."""
        self.steps += 1
        self.simulated += running * self._interval
        now = time.perf_counter()
        tell, save = now - self._told >= 0.5, now - self._saved >= self._every
        if tell:
            self._told = now
        if save:
            self._saved = now
        return tell, save

    def eta(self, left: int) -> float:
        """Seconds that ``left`` more steps will take."""
        return self.seconds / max(self.steps, 1) * left
