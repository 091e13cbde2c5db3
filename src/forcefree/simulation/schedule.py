"""Which steps a simulation takes, and at which times it records."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from forcefree.errors import ForcefreeError

_USUAL_SPACING = 100.0
_LOG_ROWS = 1000
_LEAST_STEPS = 10  # between rows, each of which costs a reversible propagator more than a step


@dataclass(frozen=True)
class Schedule:
    """Whole numbers for everything that happens periodically, so that nothing drifts.

    Attributes:
        interval: Length of a step in fs.
        equilibration: Steps before recording.
        production: Steps that are recorded.
        frames_per_step: Frames in each step; 1 where frames are a step or more apart.
        steps_per_frame: Steps between frames; 1 where there are several in a step.
        steps_per_row: Steps between rows of the log.
    """

    interval: float
    equilibration: int
    production: int
    frames_per_step: int
    steps_per_frame: int
    steps_per_row: int

    @classmethod
    def plan(
        cls,
        *,
        interval: float,
        duration: float,
        equilibration: float = 0.0,
        save_every: float | None = None,
        log_every: float | None = None,
    ) -> Schedule:
        """Lay durations in fs on the grid of steps; they are rounded up to whole steps.

        Args:
            interval: Length of a step.
            duration: Recorded time.
            equilibration: Time before that.
            save_every: Time between frames; about 100 fs when not given.
            log_every: Time between rows of the log; a thousandth of the duration when not given, but ten steps at least.

        Raises:
            ForcefreeError: If ``save_every`` is neither a multiple nor a divisor of the interval, or longer than the recorded time.
        """
        production = math.ceil(duration / interval - 1e-9)
        if save_every is None:
            save_every = interval * max(1, min(production, int(_USUAL_SPACING / interval + 1e-9)))
        many, several = save_every / interval, interval / save_every
        if min(abs(many - round(many)) / many, abs(several - round(several)) / several) > 1e-6:
            raise ForcefreeError(
                f"frames every {save_every:g} fs do not fit steps of {interval:g} fs; "
                f"save every {interval / max(1, round(several)):g} or {interval * max(1, round(many)):g} fs"
            )
        if round(many) > production:
            raise ForcefreeError(
                f"a run of {production * interval:g} fs has no frame but its first when frames are {save_every:g} fs apart; "
                "save more often, or run longer"
            )
        usual = interval * min(production, max(_LEAST_STEPS, math.ceil(production / _LOG_ROWS)))
        rows = usual if log_every is None else log_every
        return cls(
            interval=interval,
            equilibration=math.ceil(equilibration / interval - 1e-9),
            production=production,
            frames_per_step=max(1, round(several)),
            steps_per_frame=max(1, round(many)),
            steps_per_row=max(1, round(rows / interval)),
        )

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.equilibration + self.production

    @cached_property
    def offsets(self) -> Tensor:
        """Fs inside a step at which frames are recorded, where there are several in a step, shape (frames_per_step,)."""
        offsets = torch.arange(1, self.frames_per_step + 1, dtype=torch.float64) * (self.interval / self.frames_per_step)
        offsets[-1] = self.interval
        return offsets

    def recorded(self, step: int) -> list[float]:
        """Times (fs since the end of equilibration) of the frames that the step ending with number ``step`` records.

        The first frame is at time 0, when equilibration is over.
        """
        done = step - self.equilibration
        if done < 0 or done % self.steps_per_frame:
            return []
        if done == 0:
            return [0.0]
        spacing = self.interval / self.frames_per_step
        last = done * self.frames_per_step
        return [number * spacing for number in range(last - self.frames_per_step + 1, last + 1)]

    def logs(self, step: int) -> bool:
        """Whether a row of the log is due after ``step`` steps; equilibration is logged too."""
        return (step - self.equilibration) % self.steps_per_row == 0
