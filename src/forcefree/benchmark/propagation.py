"""How a benchmark runs a model, in the words of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.choice import make_propagator


@dataclass(frozen=True)
class Propagation:
    """How a model is run, such as ``direct:10`` or ``reversible:20:1``.

    Attributes:
        name: Of the propagator.
        interval: fs.
        corrections: Of the reversible propagator.
    """

    name: str
    interval: float
    corrections: int | None

    @classmethod
    def parse(cls, text: str) -> Propagation:
        """From the words of the command line.

        Raises:
            ForcefreeError: If they are not NAME:INTERVAL or NAME:INTERVAL:CORRECTIONS.
        """
        name, _, rest = text.partition(":")
        interval, _, corrections = rest.partition(":")
        try:
            return cls(name, float(interval), int(corrections) if corrections else None)
        except ValueError as error:
            raise ForcefreeError(f"a propagator is given as direct:10 or reversible:20:1 (interval in fs), not '{text}'") from error

    @classmethod
    def usual(cls, model: Forecaster) -> Propagation:
        """What ``forcefree simulate`` does with a model when nothing else is asked for."""
        chosen = make_propagator(model).describe()
        corrections = chosen.get("corrections")
        return cls(str(chosen["name"]), float(str(chosen["interval"])), None if corrections is None else int(str(corrections)))

    @property
    def options(self) -> dict[str, Any]:
        """As :func:`forcefree.simulation.simulate.simulate` takes it."""
        return {"propagator": self.name, "interval": self.interval, "corrections": self.corrections}

    @property
    def label(self) -> str:
        """What it is called in the table."""
        return f"{self.name} {self.interval:g} fs" + (f", {self.corrections} correction(s)" if self.corrections else "")
