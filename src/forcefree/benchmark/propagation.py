"""How a benchmark runs a model, in the words of the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.choice import PropagatorName, keeps_energy, make_propagator


@dataclass(frozen=True)
class Propagation:
    """How a model is run, such as ``direct:10``, ``reversible:20:1`` or ``reversible:20:1:keep``.

    Attributes:
        name: Of the propagator.
        interval: fs.
        corrections: Of the reversible propagator.
        keep_energy: Whether velocities are scaled so that the dynamics keeps the total energy.
    """

    name: str
    interval: float
    corrections: int | None
    keep_energy: bool = False

    @classmethod
    def parse(cls, text: str) -> Propagation:
        """From the words of the command line.

        Raises:
            ForcefreeError: If they are not NAME:INTERVAL or NAME:INTERVAL:CORRECTIONS, with ``:keep`` behind or not, or the interval
                is not a positive time.
        """
        words, keep, more = text.partition(":keep")
        name, _, rest = words.partition(":")
        interval, _, corrections = rest.partition(":")
        try:
            step = float(interval)
            if not 0.0 < step < math.inf:
                raise ValueError("no length of a step")
            return cls(name, step, int(corrections + more) if corrections + more else None, bool(keep))
        except ValueError as error:
            raise ForcefreeError(
                f"a propagator is given as direct:10, reversible:20:1 or reversible:20:1:keep (interval in fs), not '{text}'"
            ) from error

    @classmethod
    def usual(cls, model: Forecaster) -> Propagation:
        """What ``forcefree simulate`` does with a model when nothing else is asked for."""
        chosen = make_propagator(model).describe()
        corrections = chosen.get("corrections")
        return cls(
            str(chosen["name"]),
            float(str(chosen["interval"])),
            None if corrections is None else int(str(corrections)),
            keeps_energy(model),
        )

    def check(self, model: Forecaster) -> None:
        """Refuse what a model cannot be run with.

        Raises:
            ForcefreeError: If there is no such propagator, or the model has no forecasts of its steps.
        """
        make_propagator(model, cast(PropagatorName, self.name), self.interval, self.corrections)

    @property
    def options(self) -> dict[str, Any]:
        """As :func:`forcefree.simulation.simulate.simulate` takes it."""
        return {"propagator": self.name, "interval": self.interval, "corrections": self.corrections, "keep_energy": self.keep_energy}

    @property
    def file_name(self) -> str:
        """Of a rollout that is kept, such as ``reversible-20-1.h5``."""
        corrections = "" if self.corrections is None else f"-{self.corrections}"
        return f"{self.name}-{self.interval:g}{corrections}{'-keep' if self.keep_energy else ''}.h5"

    @property
    def label(self) -> str:
        """What it is called in the table."""
        corrections = f", {self.corrections} correction(s)" if self.corrections else ""
        return f"{self.name} {self.interval:g} fs{corrections}" + (", energy kept" if self.keep_energy else "")
