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
    """

    temperature: float
    runs: int
    frames: int
    mean_temperature: float
    error: float
    drift: float | None


def summarize(store: Path) -> list[TemperatureSummary]:
    """Summarise a store that ``forcefree reference`` made.

    Args:
        store: H5MD file.

    Returns:
        One row per temperature, in order of temperature.

    Raises:
        ForcefreeError: If the file cannot be read or holds no reference runs.
    """
    rows: dict[float, list[tuple[int, float, float | None]]] = {}
    for trajectory in read_store(store):
        if "temperature" not in trajectory.provenance or trajectory.velocities is None:
            raise ForcefreeError(f"{store} was not made by forcefree reference; '{trajectory.name}' has no temperature or velocities")
        target = float(trajectory.provenance["temperature"])
        rows.setdefault(target, []).append((len(trajectory), float(temperatures(trajectory).mean()), energy_drift(trajectory)))
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
    freedom = count_freedom_at(trajectory, rotation=bool(trajectory.provenance.get("rotation", True)))
    return 2.0 * kinetic_energies(trajectory) / (BOLTZMANN * freedom)


def energy_drift(trajectory: Trajectory) -> float | None:
    """Slope of the total energy in meV per atom and ps, by least squares; None where it is not conserved or not known."""
    if trajectory.energies is None or trajectory.provenance.get("ensemble") != "nve" or len(trajectory) < 3:
        return None
    total = trajectory.energies + kinetic_energies(trajectory)
    slope = np.polynomial.Polynomial.fit(trajectory.times, total, 1).convert().coef
    return float(slope[1] * 1.0e6 / len(trajectory.numbers)) if len(slope) > 1 else 0.0


def _summary(target: float, runs: list[tuple[int, float, float | None]]) -> TemperatureSummary:
    means = np.array([mean for _, mean, _ in runs])
    drifts = [abs(drift) for _, _, drift in runs if drift is not None]
    return TemperatureSummary(
        temperature=target,
        runs=len(runs),
        frames=sum(frames for frames, _, _ in runs),
        mean_temperature=float(means.mean()),
        error=float(means.std(ddof=1) / math.sqrt(len(means))) if len(means) > 1 else math.nan,
        drift=float(np.mean(drifts)) if drifts else None,
    )
