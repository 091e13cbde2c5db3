"""One run of reference molecular dynamics: relax, equilibrate, record; killed at any point it continues exactly.

At every checkpoint the engine is built anew and its atoms are set to the frame that was stored, so that a run that
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
import torch
from ase import Atoms

from forcefree.data.h5md import StoreWriter, read_store
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.checkpoint import FRAMES_PER_CHECKPOINT, last_checkpoint, mark_done
from forcefree.reference.config import ReferenceConfig, StartConfig
from forcefree.reference.electrons import Electrons
from forcefree.reference.engines.choice import build_engine
from forcefree.reference.engines.engine import Frame, RunawayError
from forcefree.reference.starts import load_start
from forcefree.reference.thermostat import conserved_by
from forcefree.state import State
from forcefree.units import BOLTZMANN, KINETIC_UNIT
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
    start = load_start(run.start, seed=run.config.seed)
    positions, velocities = _continued(run, start, part) if done else _equilibrated(run, start)
    writer = StoreWriter(part, resume=True) if done else _new_part(run, start, part)
    with writer:
        while done < frames:
            count = min(FRAMES_PER_CHECKPOINT, frames - done)
            chunk = _frame_arrays(run, start, done, count)
            assert chunk.velocities is not None
            with _reporting(run, f"failed at {run.temperature:g} K after {done} frames of {run.start.label}"):
                _fill(chunk, run, start, positions, velocities)
            writer.append(chunk)
            writer.flush()
            done += count
            mark_done(part, done)
            positions, velocities = chunk.positions[-1], chunk.velocities[-1]
            yield done


def _new_part(run: Run, start: Atoms, part: Path) -> StoreWriter:
    writer = StoreWriter(part)
    writer.declare(_frame_arrays(run, start, 0, 0), chunk_frames=FRAMES_PER_CHECKPOINT)
    writer.begin()
    return writer


@contextmanager
def _reporting(run: Run, what: str) -> Iterator[None]:
    """Whatever a calculator raises, and each has its own errors, ends in a sentence."""
    try:
        yield
    except RunawayError as error:
        raise _ran_away(run, str(error)) from error
    except ForcefreeError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        raise ForcefreeError(f"{run.name} {what}: the reference calculator raised {type(error).__name__}: {reason}") from error


def _ran_away(run: Run, how: str) -> ForcefreeError:
    return ForcefreeError(
        f"{run.name} at {run.temperature:g} K ran away ({how}); "
        f"use a time step shorter than {run.config.timestep:g} fs or check the start structure"
    )


def _equilibrated(run: Run, start: Atoms) -> tuple[Floats, Floats]:
    config = run.config
    rng = run.generator(0)
    with _reporting(run, f"failed while {run.start.label} was equilibrated at {run.temperature:g} K"):
        engine = build_engine(config, start)
        if config.minimize:
            engine.relax()
        engine.equilibrate(run.temperature, rng)
        frame = engine.frame()
        if not bool(np.isfinite(frame.positions).all()):
            raise _ran_away(run, "NaN while it was equilibrated")
    atoms = start.copy()
    atoms.set_positions(frame.positions)
    warm = State.from_atoms([atoms])
    return frame.positions, allowed(warm, torch.from_numpy(frame.velocities), conserved_by(config)).numpy()


def _continued(run: Run, start: Atoms, part: Path) -> tuple[Floats, Floats]:
    stored = next(iter(read_store(part, [run.name])))
    same_atoms = np.array_equal(stored.numbers, start.numbers) and np.array_equal(stored.masses, start.get_masses())
    same_cell = np.array_equal(stored.pbc, start.pbc) and np.array_equal(stored.cell[start.pbc], start.cell.array[start.pbc])
    if not (same_atoms and same_cell and Electrons.stored(stored.provenance, str(part)) == Electrons.of(start)):
        raise ForcefreeError(f"the start structure is not the one that {part} was begun with; restore it or remove {part.parent}")
    assert stored.velocities is not None
    return stored.positions[-1], stored.velocities[-1]


def _fill(chunk: Trajectory, run: Run, start: Atoms, positions: Floats, velocities: Floats) -> None:
    """Integrate and collect the frames of one chunk; the engine starts afresh from the last frame before it."""
    assert chunk.velocities is not None
    assert chunk.energies is not None
    first = round(chunk.times[0] / run.config.recording.every)
    engine = build_engine(run.config, start)
    engine.place(positions, velocities)
    engine.begin(run.temperature, run.generator(1 + first))
    for row in range(len(chunk)):
        if first + row > 0:
            engine.advance()
        frame = engine.frame()
        _check(frame, run, chunk, row)
        chunk.positions[row], chunk.velocities[row], chunk.energies[row] = frame.positions, frame.velocities, frame.energy
        if chunk.forces is not None:
            chunk.forces[row] = frame.forces


def _check(frame: Frame, run: Run, chunk: Trajectory, row: int) -> None:
    kinetic = 0.5 * KINETIC_UNIT * float(np.einsum("a,ax,ax->", chunk.masses, frame.velocities, frame.velocities))
    temperature = 2.0 * kinetic / (3.0 * len(chunk.numbers) * BOLTZMANN)
    if not (math.isfinite(frame.energy) and temperature <= 50.0 * run.temperature + 1000.0):
        raise _ran_away(run, f"{temperature:.0f} K after {chunk.times[row]:g} fs")


def _frame_arrays(run: Run, start: Atoms, done: int, count: int) -> Trajectory:
    shape = (count, len(start), 3)
    config = run.config
    provenance = {
        "molecule": run.start.label,
        "temperature": run.temperature,
        "ensemble": config.recording.ensemble,
        "level_of_theory": config.calculator.level_of_theory,
        "calculator": config.calculator.model_dump(mode="json"),
        "timestep": config.timestep,
        "rotation": config.rotation,
        **Electrons.of(start).provenance(),
        "velocities": "recorded",
    }
    return Trajectory(
        name=run.name,
        numbers=start.numbers.astype(np.int64),
        masses=start.get_masses(),
        times=np.arange(done, done + count, dtype=np.float64) * config.recording.every,
        positions=np.empty(shape),
        velocities=np.empty(shape),
        energies=np.empty(count),
        forces=np.empty(shape) if config.recording.forces else None,
        cell=np.asarray(start.cell.array, dtype=np.float64),
        pbc=np.asarray(start.pbc, dtype=bool),
        provenance=provenance,
    )
