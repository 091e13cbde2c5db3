"""What is left out at the start of each run before it is analysed."""

from __future__ import annotations

import numpy as np

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.settings import Duration, Settings
from forcefree.units import femtoseconds


class Discard(Settings):
    """What is left out at the start of each run: a duration, a fraction, or the sum of both."""

    duration: Duration | None = None
    """In fs."""

    fraction: float = 0.0
    """Of the run, at least 0 and below 1."""

    @classmethod
    def of(cls, text: str) -> Discard:
        """Read ``"10%"``, ``"5 ps"`` or ``"0"``.

        Raises:
            ForcefreeError: If the text is neither a percentage below 100 nor a duration.
        """
        text = text.strip()
        if text.endswith("%"):
            try:
                fraction = float(text[:-1]) / 100.0
            except ValueError:
                fraction = -1.0
            if not 0.0 <= fraction < 1.0:
                raise ForcefreeError(
                    f"'{text}' cannot be discarded from a run; write a percentage from 0% to 99%, or a duration such as 5ps"
                )
            return cls(fraction=fraction)
        return cls() if text == "0" else cls(duration=femtoseconds(text))

    def first_frame(self, run: Trajectory) -> int:
        """Index of the first frame of ``run`` that is kept; its length where none is."""
        elapsed = run.times - run.times[0]
        start = (self.duration or 0.0) + self.fraction * elapsed[-1]
        return int(np.searchsorted(elapsed, start - 1e-6))
