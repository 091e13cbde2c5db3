"""How a benchmark runs a model, in the words of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.choice import keeps_energy, make_propagator


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
            ForcefreeError: If they are not NAME:INTERVAL or NAME:INTERVAL:CORRECTIONS, with ``:keep`` behind or not.
        """
        words, keep, more = text.partition(":keep")
        name, _, rest = words.partition(":")
        interval, _, corrections = rest.partition(":")
        try:
            return cls(name, float(interval), int(corrections + more) if corrections + more else None, bool(keep))
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

    @property
    def options(self) -> dict[str, Any]:
        """As :func:`forcefree.simulation.simulate.simulate` takes it."""
        return {"propagator": self.name, "interval": self.interval, "corrections": self.corrections, "keep_energy": self.keep_energy}

    @property
    def label(self) -> str:
        """What it is called in the table."""
        corrections = f", {self.corrections} correction(s)" if self.corrections else ""
        return f"{self.name} {self.interval:g} fs{corrections}" + (", energy kept" if self.keep_energy else "")
