"""What a reference store holds, in the numbers that show whether its runs went well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.thermostat import count_freedom_at
from forcefree.units import BOLTZMANN, KINETIC_UNIT

_OFF = 0.1
"""Relative deviation of a mean temperature that still is well."""


@dataclass(frozen=True)
class TemperatureSummary:
    """All runs at one temperature.

    Attributes:
        temperature: That the runs were equilibrated at, K.
        runs: How many.
        frames: Of all runs together.
        mean_temperature: Mean kinetic temperature over runs, K, with the degrees of freedom that the runs leave.
        error: Its standard error over runs, K; NaN for a single run.
        drift: Mean over runs of the absolute drift of the total energy, meV per atom and ps; None where a thermostat acts.
        ensemble: That the runs were recorded in, ``nve`` or ``nvt``.
        freedom: Velocity degrees of freedom of a run, on average over runs.
    """

    temperature: float
    runs: int
    frames: int
    mean_temperature: float
    error: float
    drift: float | None
    ensemble: str
    freedom: float

    @property
    def warning(self) -> str | None:
        """A sentence where the mean temperature is off by more than two of its errors and more than a tenth; otherwise None.

        A single run has no error over runs; it counts as canonical runs differ, by T over the root of the degrees of freedom.
        """
        error = self.temperature / math.sqrt(self.freedom) if math.isnan(self.error) else self.error
        if abs(self.mean_temperature - self.temperature) <= max(2.0 * error, _OFF * self.temperature):
            return None
        found = f"{self.mean_temperature:.0f}" + ("" if math.isnan(self.error) else f" ± {self.error:.0f}")
        cure = (
            "an nve recording keeps the energy that it begins with, so a longer equilibration is needed"
            if self.ensemble == "nve"
            else "a longer equilibration or a shorter recording.thermostat_time is needed"
        )
        return f"the runs at {self.temperature:g} K have a mean temperature of {found} K; {cure}"


def summarize(store: Path) -> list[TemperatureSummary]:
    """Summarise a store that ``forcefree reference`` made.

    Args:
        store: H5MD file.

    Returns:
        One row per temperature, in order of temperature.

    Raises:
        ForcefreeError: If the file cannot be read or holds no reference runs.
    """
    rows: dict[float, list[_RunNumbers]] = {}
    for trajectory in read_store(store):
        if "temperature" not in trajectory.provenance or trajectory.velocities is None:
            raise ForcefreeError(f"{store} was not made by forcefree reference; '{trajectory.name}' has no temperature or velocities")
        target = float(trajectory.provenance["temperature"])
        rows.setdefault(target, []).append(
            _RunNumbers(
                frames=len(trajectory),
                mean=float(temperatures(trajectory).mean()),
                drift=energy_drift(trajectory),
                ensemble=str(trajectory.provenance.get("ensemble", "nve")),
                freedom=_freedom(trajectory),
            )
        )
    return [_summary(target, runs) for target, runs in sorted(rows.items())]


def kinetic_energies(trajectory: Trajectory) -> Floats:
    """Kinetic energy of every frame in eV, shape (n_frames,).

    Raises:
        ForcefreeError: If the trajectory has no velocities.
    """
    if trajectory.velocities is None:
        raise ForcefreeError(f"trajectory '{trajectory.name}' has no velocities, so it has no kinetic energy")
    energies: Floats = 0.5 * KINETIC_UNIT * np.einsum("a,fax,fax->f", trajectory.masses, trajectory.velocities, trajectory.velocities)
    return energies


def temperatures(trajectory: Trajectory) -> Floats:
    """Kinetic temperature of every frame of a reference run in K, shape (n_frames,)."""
    return 2.0 * kinetic_energies(trajectory) / (BOLTZMANN * _freedom(trajectory))


def _freedom(trajectory: Trajectory) -> float:
    return count_freedom_at(trajectory, rotation=bool(trajectory.provenance.get("rotation", True)))


def energy_drift(trajectory: Trajectory) -> float | None:
    """Slope of the total energy in meV per atom and ps, by least squares; None where it is not conserved or not known."""
    if trajectory.energies is None or trajectory.provenance.get("ensemble") != "nve" or len(trajectory) < 3:
        return None
    total = trajectory.energies + kinetic_energies(trajectory)
    slope = np.polynomial.Polynomial.fit(trajectory.times, total, 1).convert().coef
    return float(slope[1] * 1.0e6 / len(trajectory.numbers)) if len(slope) > 1 else 0.0


@dataclass(frozen=True)
class _RunNumbers:
    """One run: its frames, mean temperature in K, energy drift in meV per atom and ps, ensemble and degrees of freedom."""

    frames: int
    mean: float
    drift: float | None
    ensemble: str
    freedom: float


def _summary(target: float, runs: list[_RunNumbers]) -> TemperatureSummary:
    means = np.array([run.mean for run in runs])
    drifts = [abs(run.drift) for run in runs if run.drift is not None]
    return TemperatureSummary(
        temperature=target,
        runs=len(runs),
        frames=sum(run.frames for run in runs),
        mean_temperature=float(means.mean()),
        error=float(means.std(ddof=1) / math.sqrt(len(means))) if len(means) > 1 else math.nan,
        drift=float(np.mean(drifts)) if drifts else None,
        ensemble=runs[0].ensemble,
        freedom=float(np.mean([run.freedom for run in runs])),
    )
