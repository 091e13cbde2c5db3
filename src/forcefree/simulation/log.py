"""The log of a simulation: a CSV table of temperature, energies, momenta, reversal residual and halved steps of every replica."""

from __future__ import annotations

from pathlib import Path

from forcefree.nn.conservation import angular_momentum
from forcefree.simulation.engine import Engine
from forcefree.simulation.reporters import open_text
from forcefree.temperature import kinetic_energy

COLUMNS = (
    "time_fs",
    "replica",
    "temperature_K",
    "kinetic_energy_eV",
    "momentum_amuA/fs",
    "angular_momentum_amuA2/fs",
    "reversal_residual_A",
    "potential_energy_eV",
    "energy_drift_eV",
    "halved",
    "over_tolerance",
)
"""One row per replica and time; momenta are magnitudes. The drift is what the dynamics without the thermostat has added to the total
energy since the start, by the energy head; ``halved`` counts the segments that were done again in halves, and ``over_tolerance`` those
of the shortest length that were taken all the same. The angular momentum of a periodic system, the residual of a propagator that has
none, the energies of a model without a head and the counts of a run without a tolerance are left empty."""


class Log:
    """Write rows of the table.

    Args:
        path: CSV file.
        size: Bytes after which to continue an existing file, None for a new one.

    Raises:
        ForcefreeError: If the file exists and is not to be continued, or is shorter than the checkpoint says.
    """

    def __init__(self, path: Path, size: int | None) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open_text(path, size)
        if size is None:
            self._file.write(",".join(COLUMNS) + "\n")

    def rows(self, time: float, engine: Engine) -> list[str]:
        """One row for each replica that still runs, at ``time`` (fs)."""
        state = engine.state
        momentum = state.sum(state.masses[:, None] * state.velocities).norm(dim=1).tolist()
        turning = angular_momentum(state, state.positions[None], state.velocities[None])[0].norm(dim=1).tolist()
        isolated = state.isolated.tolist()
        left = engine.residual()
        residual = [""] * state.n_systems if left is None else [f"{value:.4e}" for value in left.tolist()]
        drift, adaptive = engine.drift(), engine.adaptive
        energies = [","] * state.n_systems
        if drift is not None:
            energies = [f"{potential:.6f},{gained:.6f}" for potential, gained in zip(*(column.tolist() for column in drift), strict=True)]
        counts = [","] * state.n_systems
        if adaptive is not None:
            counts = [f"{halved},{strained}" for halved, strained in zip(adaptive.halved.tolist(), adaptive.strained.tolist(), strict=True)]
        running, temperature = engine.running.tolist(), engine.temperatures().tolist()
        kinetic = kinetic_energy(state, engine.bodies.conserved).tolist()
        return [
            f"{time:.10g},{name},{temperature[i]:.4f},{kinetic[i]:.8f},{momentum[i]:.4e},"
            f"{format(turning[i], '.4e') if isolated[i] else ''},{residual[i]},{energies[i]},{counts[i]}\n"
            for i, name in enumerate(engine.names)
            if running[i]
        ]

    def write(self, rows: list[str]) -> None:
        """Write rows."""
        self._file.writelines(rows)

    def flush(self) -> int:
        """Hand all rows to the operating system; returns the bytes so far."""
        self._file.flush()
        return int(self._file.tell())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
