"""A forecaster as a dynamics class of ASE, for scripts that would otherwise use ``VelocityVerlet`` or ``Langevin``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from ase import Atoms, units
from ase.md.md import MolecularDynamics

from forcefree.errors import ForcefreeError
from forcefree.models.files import load
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.beginning import check_bootstrap
from forcefree.simulation.building import build_engine
from forcefree.simulation.options import SimulationOptions
from forcefree.simulation.surroundings import check_neighbours
from forcefree.state import State
from forcefree.temperature import kinetic_energy
from forcefree.units import ASE_FEMTOSECOND

_OF_RUNS = ("duration", "equilibration", "save_every", "log_every")
_OF_NVT = ("thermostat", "thermostat_time")


class ForecastDynamics(MolecularDynamics):  # type: ignore[misc]
    """Molecular dynamics of ``atoms`` by a forecaster; no calculator is needed.

    >>> dynamics = ForecastDynamics(atoms, "trajcast-ethanol", ensemble="nvt", temperature=300)  # doctest: +SKIP
    >>> dynamics.attach(lambda: print(atoms.get_temperature()), interval=10)  # doctest: +SKIP
    >>> dynamics.run(1000)  # doctest: +SKIP

    One step of :meth:`run` is one step of the propagator, 10 fs say, not 0.5 fs. Observers may change positions and
    velocities between steps. Potential energies and forces are what a calculator attached to ``atoms`` says; the dynamics
    asks for none.

    Args:
        atoms: One structure; its velocities are used where it has any, otherwise they are drawn at ``temperature``.
        model: A loaded model, a model file, or a bundled name.
        trajectory: As in every ASE dynamics.
        logfile: File, or ``-`` for the screen, for a table of time, kinetic energy and temperature.
        loginterval: Steps between its rows and between frames of ``trajectory``.
        append_trajectory: Append to an existing trajectory file.
        **options: Fields of :class:`forcefree.simulation.SimulationOptions`: ``ensemble`` (``nve`` when not given),
            ``temperature`` (K), ``thermostat``, ``thermostat_time`` (fs), ``propagator``, ``interval`` (fs), ``seed``, ...;
            not those of a run that is recorded (``duration``, ``equilibration``, ``save_every``, ``log_every``).

    Raises:
        ForcefreeError: If the model cannot serve the atoms or options, an option would have no effect, or the atoms have
            constraints; in a step, if a guard stops the dynamics.
    """

    def __init__(
        self,
        atoms: Atoms,
        model: Forecaster | str | Path,
        *,
        trajectory: str | None = None,
        logfile: IO[str] | str | None = None,
        loginterval: int = 1,
        append_trajectory: bool = False,
        **options: Any,
    ) -> None:
        forecaster = model if isinstance(model, Forecaster) else load(model)
        _check_effect(options)
        _check_free(atoms)
        moving = bool(np.any(atoms.get_velocities()))
        values = {"ensemble": "nve", "duration": 1.0, "velocities": "start" if moving else None, **options}
        chosen = SimulationOptions.parse(values, "ForecastDynamics")
        if chosen.replicas != 1:
            raise ForcefreeError(f"ForecastDynamics moves one structure, not {chosen.replicas} replicas; use forcefree.simulation.simulate")
        check_bootstrap(forecaster.card, chosen.bootstrap)
        state = State.from_atoms([atoms])
        if chosen.guards:
            check_neighbours(forecaster.card, state)
        self.engine, _ = build_engine(forecaster, state, chosen)
        super().__init__(
            atoms,
            self.engine.propagator.interval * units.fs,
            trajectory=trajectory,
            loginterval=loginterval,
            append_trajectory=append_trajectory,
        )
        self._write_back()
        if logfile is not None:
            self._table = self.openfile(file=logfile, comm=self.comm, mode="a")
            self._table.write(f"{'Time[ps]':<12s}{'Ekin[eV]':>14s}{'T[K]':>10s}\n")
            self.attach(self._log_row, loginterval)

    def step(self) -> None:
        """One step of the propagator, with the thermostat.

        Raises:
            ForcefreeError: If a guard stops the dynamics (``atoms`` then hold the last good state), or the atoms have constraints.
        """
        _check_free(self.atoms)
        positions, momenta = self.atoms.get_positions(), self.atoms.get_momenta()
        if not (np.array_equal(positions, self._positions) and np.array_equal(momenta, self._momenta)):
            velocities = self.atoms.get_velocities() * ASE_FEMTOSECOND
            device = self.engine.state.positions.device
            self.engine.move(torch.tensor(positions, device=device), torch.tensor(velocities, device=device))
        self.engine.step()
        self._write_back()
        if self.engine.stopped:
            raise ForcefreeError(self.engine.stopped[0].reason)

    def irun(self, steps: int = 50) -> Iterator[bool]:
        """Run ``steps`` steps as a generator that yields whether the last is done; observers see the start too."""
        self.max_steps = self.nsteps + steps
        if self.nsteps == 0:
            self.call_observers()
        yield self.nsteps == self.max_steps
        while self.nsteps < self.max_steps:
            self.step()
            self.nsteps += 1
            self.call_observers()
            yield self.nsteps == self.max_steps

    def todict(self) -> dict[str, Any]:
        """What ASE stores in the header of a trajectory."""
        return {**super().todict(), "propagator": self.engine.propagator.describe()}

    def _write_back(self) -> None:
        state = self.engine.state
        self.atoms.set_positions(state.positions.cpu().numpy(), apply_constraint=False)
        self.atoms.set_velocities(state.velocities.cpu().numpy() / ASE_FEMTOSECOND)
        self._positions, self._momenta = self.atoms.get_positions(), self.atoms.get_momenta()

    def _log_row(self) -> None:
        kinetic = float(kinetic_energy(self.engine.state, self.engine.bodies.conserved)[0])
        temperature = float(self.engine.temperatures()[0])
        self._table.write(f"{self.get_time() / (1000.0 * units.fs):<12.4f}{kinetic:>14.6f}{temperature:>10.1f}\n")
        self._table.flush()


def _check_effect(options: dict[str, Any]) -> None:
    """Refuse options of which nothing would be seen."""
    idle = [name for name in _OF_RUNS if name in options]
    if idle:
        raise ForcefreeError(
            f"ForecastDynamics has no use for {' and '.join(idle)}; give run() the number of steps, and loginterval or the interval of an observer"
        )
    idle = [name for name in _OF_NVT if name in options]
    if idle and options.get("ensemble", "nve") == "nve":
        raise ForcefreeError(f"ForecastDynamics has no use for {' and '.join(idle)} in nve; add ensemble='nvt'")


def _check_free(atoms: Atoms) -> None:
    """Refuse constraints, which no forecast keeps."""
    if atoms.constraints:
        raise ForcefreeError(f"the atoms have constraints ({atoms.constraints[0]}); every atom moves freely here, so remove them")
