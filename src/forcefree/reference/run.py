"""One run of reference molecular dynamics: relax, equilibrate, record; killed at any point it continues exactly.

At every checkpoint the calculator is built anew and the atoms are set to the frame that was stored, so that a run that
was interrupted and one that was not see the same starting guesses and end bit for bit alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from forcefree.data.h5md import StoreWriter, read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.calculators import build_calculator
from forcefree.reference.checkpoint import FRAMES_PER_CHECKPOINT, last_checkpoint, mark_done
from forcefree.reference.config import ReferenceConfig, StartConfig
from forcefree.reference.electrons import Electrons
from forcefree.reference.starts import load_start
from forcefree.reference.thermostat import Rescaling, conserved_by
from forcefree.state import State
from forcefree.units import BOLTZMANN
from forcefree.velocities import allowed


@dataclass(frozen=True)
class Run:
    """One of the runs that a configuration asks for.

    Attributes:
        index: Position in the list of all runs.
        start: Structure that it starts from.
        temperature: K.
        config: The whole configuration.
    """

    index: int
    start: StartConfig
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
    """Every run of a configuration: all structures at one temperature, then at the next, in the order given.

    A temperature that is added at the end of the list changes none of the runs before it.
    """
    wanted = product(config.temperatures, config.start, range(config.runs_per_temperature))
    return [Run(index, start, temperature, config) for index, (temperature, start, _) in enumerate(wanted)]


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
    frames = run.config.frames_per_run
    done = last_checkpoint(run.name, part, frames)
    if done >= frames:
        yield done
        return
    atoms = _continued(run, part) if done else _equilibrated(run)
    writer = StoreWriter(part, resume=True) if done else _new_part(run, atoms, part)
    with writer:
        while done < frames:
            count = min(FRAMES_PER_CHECKPOINT, frames - done)
            with _reporting(f"{run.name} failed at {run.temperature:g} K after {done} frames of {run.start.label}"):
                chunk = _chunk(run, atoms, done, count)
            writer.append(chunk)
            writer.flush()
            done += count
            mark_done(part, done)
            _place(atoms, chunk)
            yield done


def _new_part(run: Run, atoms: Atoms, part: Path) -> StoreWriter:
    writer = StoreWriter(part)
    writer.declare(_frame_arrays(run, atoms, 0, 0), chunk_frames=FRAMES_PER_CHECKPOINT)
    writer.begin()
    return writer


@contextmanager
def _reporting(what: str) -> Iterator[None]:
    """Whatever a calculator raises, and each has its own errors, ends in a sentence."""
    try:
        yield
    except ForcefreeError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        raise ForcefreeError(f"{what}: the reference calculator raised {type(error).__name__}: {reason}") from error


def _equilibrated(run: Run) -> Atoms:
    config = run.config
    rng = run.generator(0)
    atoms = load_start(run.start, seed=config.seed)
    atoms.calc = build_calculator(config.calculator)
    with _reporting(f"{run.name} failed while {run.start.label} was equilibrated at {run.temperature:g} K"):
        if config.minimize:
            BFGS(atoms, logfile=None).run(fmax=0.01, steps=300)
        MaxwellBoltzmannDistribution(atoms, temperature_K=run.temperature, rng=rng)
        friction = 1.0 / (config.equilibration.friction_time * units.fs)
        langevin = Langevin(atoms, config.timestep * units.fs, temperature_K=run.temperature, friction=friction, rng=rng, fixcm=False)
        langevin.run(round(config.equilibration.duration / config.timestep))
        if not bool(np.isfinite(atoms.positions).all()):
            raise ForcefreeError(
                f"{run.name} at {run.temperature:g} K ran away while it was equilibrated; "
                f"use a time step shorter than {config.timestep:g} fs or check the start structure"
            )
    still = State.from_atoms([atoms])
    atoms.set_velocities(allowed(still, still.velocities, conserved_by(config)).numpy() / units.fs)
    return atoms


def _continued(run: Run, part: Path) -> Atoms:
    """The start structure, with its charges and whatever else a calculator reads, at the last frame stored."""
    atoms = load_start(run.start, seed=run.config.seed)
    stored = next(iter(read_store(part, [run.name])))
    if not np.array_equal(stored.numbers, atoms.numbers) or not np.array_equal(stored.masses, atoms.get_masses()):
        raise ForcefreeError(f"the start structure is not the one that {part} was begun with; restore it or remove {part.parent}")
    _place(atoms, stored)
    return atoms


def _place(atoms: Atoms, trajectory: Trajectory) -> None:
    assert trajectory.velocities is not None
    atoms.set_positions(trajectory.positions[-1])
    atoms.set_velocities(trajectory.velocities[-1] / units.fs)


def _chunk(run: Run, atoms: Atoms, done: int, count: int) -> Trajectory:
    """Integrate and collect ``count`` frames; the calculator starts afresh from the last frame."""
    config = run.config
    atoms.calc = build_calculator(config.calculator)
    verlet = VelocityVerlet(atoms, config.timestep * units.fs)
    nvt = config.recording.ensemble == "nvt"
    thermostat = Rescaling.of(config, run.temperature, atoms, run.generator(1 + done)) if nvt else None
    arrays = _frame_arrays(run, atoms, done, count)
    assert arrays.velocities is not None
    assert arrays.energies is not None
    for row in range(count):
        if done + row > 0:
            for _ in range(config.steps_per_frame):
                verlet.run(1)
                if thermostat is not None:
                    thermostat.apply(atoms)
        arrays.positions[row] = atoms.positions
        arrays.velocities[row] = atoms.get_velocities() * units.fs
        arrays.energies[row] = atoms.get_potential_energy()
        if arrays.forces is not None:
            arrays.forces[row] = atoms.get_forces()
        temperature = 2.0 * atoms.get_kinetic_energy() / (3.0 * len(atoms) * BOLTZMANN)
        if not (math.isfinite(arrays.energies[row]) and temperature <= 50.0 * run.temperature + 1000.0):
            raise ForcefreeError(
                f"{run.name} at {run.temperature:g} K ran away ({temperature:.0f} K after {arrays.times[row]:g} fs); "
                f"use a time step shorter than {config.timestep:g} fs or check the start structure"
            )
    return arrays


def _frame_arrays(run: Run, atoms: Atoms, done: int, count: int) -> Trajectory:
    shape = (count, len(atoms), 3)
    config = run.config
    provenance = {
        "molecule": run.start.label,
        "temperature": run.temperature,
        "ensemble": config.recording.ensemble,
        "level_of_theory": config.calculator.name,
        "calculator": config.calculator.model_dump(mode="json"),
        "timestep": config.timestep,
        "rotation": config.rotation,
        **Electrons.of(atoms).provenance(),
        "velocities": "recorded",
    }
    return Trajectory(
        name=run.name,
        numbers=atoms.numbers.astype(np.int64),
        masses=atoms.get_masses(),
        times=np.arange(done, done + count, dtype=np.float64) * config.recording.every,
        positions=np.empty(shape),
        velocities=np.empty(shape),
        energies=np.empty(count),
        forces=np.empty(shape) if config.recording.forces else None,
        cell=np.asarray(atoms.cell.array, dtype=np.float64),
        pbc=np.asarray(atoms.pbc, dtype=bool),
        provenance=provenance,
    )
