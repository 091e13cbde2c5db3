"""One run of reference molecular dynamics: relax, equilibrate, record; killed at any point it continues exactly.

At every checkpoint the calculator is built anew, so that a run that was interrupted and one that was not see the same
starting guesses and end bit for bit alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.calculators.calculator import CalculatorError
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary, ZeroRotation
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from forcefree.csvr import rescaling_factor
from forcefree.data.h5md import StoreWriter, read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import ReferenceConfig
from forcefree.reference.starts import load_start
from forcefree.units import BOLTZMANN

FRAMES_PER_CHECKPOINT = 250


@dataclass(frozen=True)
class Run:
    """One of the runs that a configuration asks for.

    Attributes:
        index: Position in the list of all runs.
        temperature: K.
        config: The whole configuration.
    """

    index: int
    temperature: float
    config: ReferenceConfig

    @property
    def name(self) -> str:
        """Name of the trajectory in the store."""
        return f"run_{self.index:04d}"

    def generator(self, stream: int) -> np.random.Generator:
        """Random numbers that depend on nothing but the seed, the run and the stream."""
        return np.random.Generator(np.random.Philox(key=[self.config.seed, (self.index << 32) + stream]))


def all_runs(config: ReferenceConfig) -> list[Run]:
    """Every run of a configuration, temperatures in the order given."""
    pairs = [temperature for temperature in config.temperatures for _ in range(config.runs_per_temperature)]
    return [Run(index, temperature, config) for index, temperature in enumerate(pairs)]


def record(run: Run, part: Path) -> Iterator[int]:
    """Make or continue one run.

    Args:
        run: Which run.
        part: H5MD file of this run alone; an existing one is continued from its last checkpoint.

    Yields:
        Number of frames written so far, after every checkpoint.

    Raises:
        ForcefreeError: If the reference calculator fails or the dynamics runs away.
    """
    config = run.config
    frames = config.frames_per_run
    if part.exists():
        with StoreWriter(part, resume=True) as writer:
            done = writer.length(run.name)
            done = frames if done >= frames else done - done % FRAMES_PER_CHECKPOINT
            writer.truncate(run.name, done)
        if done == 0:
            part.unlink()
    else:
        done = 0
    if done >= frames:
        yield done
        return
    atoms = _continued(run, part) if done else _equilibrated(run)
    writer = StoreWriter(part, resume=True) if done else _new_part(run, atoms, part)
    with writer:
        while done < frames:
            count = min(FRAMES_PER_CHECKPOINT, frames - done)
            writer.append(_guarded(run, atoms, done, count))
            writer.flush()
            done += count
            yield done


def _new_part(run: Run, atoms: Atoms, part: Path) -> StoreWriter:
    part.parent.mkdir(parents=True, exist_ok=True)
    writer = StoreWriter(part)
    writer.declare(_frame_arrays(run, atoms, 0, 0), chunk_frames=FRAMES_PER_CHECKPOINT)
    writer.begin()
    return writer


def _equilibrated(run: Run) -> Atoms:
    config = run.config
    rng = run.generator(0)
    atoms = load_start(config.start, seed=config.seed)
    atoms.calc = build_calculator(config.calculator)
    isolated = not bool(atoms.pbc.any())
    try:
        if config.minimize:
            BFGS(atoms, logfile=None).run(fmax=0.01, steps=300)
        MaxwellBoltzmannDistribution(atoms, temperature_K=run.temperature, rng=rng)
        friction = 1.0 / (config.equilibration.friction_time * units.fs)
        langevin = Langevin(
            atoms, config.timestep * units.fs, temperature_K=run.temperature, friction=friction, rng=rng, fixcm=False
        )
        langevin.run(round(config.equilibration.duration / config.timestep))
    except CalculatorError as error:
        raise ForcefreeError(f"the reference calculator failed while {run.name} was equilibrated at {run.temperature:g} K: {error}") from error
    Stationary(atoms, preserve_temperature=False)
    if isolated and not config.rotation:
        ZeroRotation(atoms, preserve_temperature=False)
    return atoms


def _continued(run: Run, part: Path) -> Atoms:
    last = next(iter(read_store(part, [run.name])))
    atoms = Atoms(last.numbers, positions=last.positions[-1], cell=last.cell, pbc=last.pbc)
    assert last.velocities is not None
    atoms.set_velocities(last.velocities[-1] / units.fs)
    return atoms


def _guarded(run: Run, atoms: Atoms, done: int, count: int) -> Trajectory:
    try:
        return _chunk(run, atoms, done, count)
    except CalculatorError as error:
        raise ForcefreeError(f"the reference calculator failed in {run.name} at {run.temperature:g} K after {done} frames: {error}") from error


def _chunk(run: Run, atoms: Atoms, done: int, count: int) -> Trajectory:
    """Integrate and collect ``count`` frames; the calculator starts afresh from the last frame."""
    config = run.config
    atoms.calc = build_calculator(config.calculator)
    verlet = VelocityVerlet(atoms, config.timestep * units.fs)
    rng = run.generator(1 + done)
    arrays = _frame_arrays(run, atoms, done, count)
    for row in range(count):
        if done + row > 0:
            for _ in range(config.steps_per_frame):
                verlet.run(1)
                if config.recording.ensemble == "nvt":
                    _rescale(run, atoms, rng)
        arrays.positions[row] = atoms.positions
        assert arrays.velocities is not None and arrays.energies is not None
        arrays.velocities[row] = atoms.get_velocities() * units.fs
        arrays.energies[row] = atoms.get_potential_energy()
        if arrays.forces is not None:
            arrays.forces[row] = atoms.get_forces()
        temperature = 2.0 * atoms.get_kinetic_energy() / (3.0 * len(atoms) * BOLTZMANN)
        if not math.isfinite(arrays.energies[row]) or temperature > 50.0 * run.temperature + 1000.0:
            raise ForcefreeError(
                f"{run.name} at {run.temperature:g} K ran away ({temperature:.0f} K after {arrays.times[row]:g} fs); "
                f"use a time step shorter than {config.timestep:g} fs or check the start structure"
            )
    return arrays


def _frame_arrays(run: Run, atoms: Atoms, done: int, count: int) -> Trajectory:
    shape = (count, len(atoms), 3)
    config = run.config
    provenance = {
        "temperature": run.temperature,
        "ensemble": config.recording.ensemble,
        "level_of_theory": config.calculator.name,
        "calculator": config.calculator.model_dump(mode="json"),
        "timestep": config.timestep,
        "rotation": config.rotation,
        "velocities": "recorded",
    }
    return Trajectory(
        name=run.name,
        numbers=atoms.numbers.astype(np.int64),
        masses=atoms.get_masses(),
        times=(done + np.arange(count)) * config.recording.every,
        positions=np.empty(shape),
        velocities=np.empty(shape),
        energies=np.empty(count),
        forces=np.empty(shape) if config.recording.forces else None,
        cell=np.asarray(atoms.cell.array, dtype=np.float64),
        pbc=np.asarray(atoms.pbc, dtype=bool),
        provenance=provenance,
    )


def _rescale(run: Run, atoms: Atoms, rng: np.random.Generator) -> None:
    """One CSVR step after a time step, with the degrees of freedom that the conservation laws leave."""
    conserved = 3 if atoms.pbc.any() or run.config.rotation else 6
    freedom = 3 * len(atoms) - conserved
    mean_kinetic = 0.5 * freedom * BOLTZMANN * run.temperature
    factor = rescaling_factor(
        torch.tensor([atoms.get_kinetic_energy() / mean_kinetic], dtype=torch.float64),
        torch.tensor([freedom], dtype=torch.float64),
        math.exp(-run.config.timestep / run.config.recording.thermostat_time),
        torch.tensor([rng.standard_normal()], dtype=torch.float64),
        torch.tensor([rng.chisquare(freedom - 1)], dtype=torch.float64),
    )
    atoms.set_momenta(atoms.get_momenta() * float(factor))
