"""A run: the engine's loop with everything that is written along the way, interruptible at any moment."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from forcefree.errors import ForcefreeError
from forcefree.lock import locked
from forcefree.models.forecaster import Frames
from forcefree.simulation.checkpoint import Checkpoint, Identity, checkpoint_path, lock_path, read_checkpoint
from forcefree.simulation.engine import Engine
from forcefree.simulation.log import Log
from forcefree.simulation.progress import Clock, Progress, ProgressCallback
from forcefree.simulation.recording import FrameBuffer, Reporter
from forcefree.simulation.reporters import SUFFIXES, make_reporter, trajectory_files
from forcefree.simulation.schedule import Schedule
from forcefree.state import State


class Run:
    """Drive an engine through its schedule and keep trajectory, log and checkpoint in step.

    The order is always frames, log, checkpoint: a killed run finds at least what its checkpoint speaks of, and cuts the
    rest. The first checkpoint is written before any output exists.

    Args:
        engine: At its start.
        schedule: Steps, frames and rows.
        identity: What a checkpoint must agree with.
        output: Trajectory file, None to keep frames in memory.
        provenance: JSON values stored with the frames.
    """

    def __init__(self, engine: Engine, schedule: Schedule, identity: Identity, output: Path | None, provenance: dict[str, Any]) -> None:
        self.engine = engine
        self.schedule = schedule
        self.identity = identity
        self.output = output
        self._files = [] if output is None else trajectory_files(output, engine.names)
        self.log_path = None if output is None else output.with_suffix(".csv")
        self.provenance = provenance
        self.buffer = FrameBuffer(engine.state.n_systems, engine.state.n_atoms)
        self.log: Log | None = None
        self.reporter: Reporter
        self.ns_per_day = 0.0

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from the output, from before it is opened until the run has ended.

        Raises:
            ForcefreeError: If another process is writing it, or its folder cannot be written to.
        """
        with ExitStack() as stack:
            if self.output is not None:
                refusal = f"another process is writing {self.output}; wait for it or stop it"
                with self._writing():
                    self.output.parent.mkdir(parents=True, exist_ok=True)
                    stack.enter_context(locked(lock_path(self.output), refusal))
            yield

    def open(self, *, resume: bool) -> None:
        """Create the output, or continue it from its checkpoint.

        Raises:
            ForcefreeError: If the output exists and ``resume`` is not set, or the checkpoint belongs to another run or is damaged.
        """
        checkpoint = self._found() if resume and self.output is not None else None
        with self._writing():
            if checkpoint is None and self.output is not None:
                self._claim()
                self._save({}, None)
            if checkpoint is not None:
                checkpoint.restore(self.engine)
            position = None if checkpoint is None else checkpoint.reporter
            self.reporter = make_reporter(self.output, self.engine.state, self.engine.names, self.provenance, position)
            if self.log_path is not None:
                self.log = Log(self.log_path, None if checkpoint is None else checkpoint.log)
        if checkpoint is None:
            self._record(self.engine.state)

    def advance(self, progress: ProgressCallback | None, checkpoint_every: float) -> None:
        """Take all remaining steps.

        Args:
            progress: Told about twice a second, and at the end.
            checkpoint_every: Seconds between checkpoints.

        Raises:
            ForcefreeError: If the model refuses a state or a file cannot be written; what was written stays readable.
        """
        clock = Clock(self.schedule.interval, checkpoint_every)
        try:
            while self.engine.steps < self.schedule.total and len(self.engine.stopped) < self.engine.state.n_systems:
                self._step()
                tell, save = clock.tick(self.engine.state.n_systems - len(self.engine.stopped))
                if save:
                    self.checkpoint()
                if tell and progress is not None:
                    progress(self._report(clock))
        except (KeyboardInterrupt, ForcefreeError):
            self._abandon(self._stops())
            raise
        self.checkpoint()
        self._close()
        self.ns_per_day = clock.ns_per_day
        if progress is not None:
            progress(self._report(clock))

    def checkpoint(self) -> None:
        """Make everything so far safe."""
        with self._writing():
            self._hand_on()
            reporter = self.reporter.flush()
            if self.output is not None:
                self._save(reporter, None if self.log is None else self.log.flush())

    def _step(self) -> None:
        several = len(self.schedule.recorded(self.engine.steps + 1)) > 1
        frames = self.engine.step(self.schedule.offsets if several else None)
        self._record(self.engine.state if frames is None else frames)

    def _record(self, frames: Frames | State) -> None:
        """Keep what the step that has just ended should leave behind."""
        schedule, engine = self.schedule, self.engine
        times = schedule.recorded(engine.steps)
        if times:
            self.buffer.add(times, frames, engine.running)
        rows = []
        if self.log is not None and schedule.logs(engine.steps):
            rows = self.log.rows((engine.steps - schedule.equilibration) * schedule.interval, engine)
        if rows or self.buffer.full:
            with self._writing():
                if self.log is not None:
                    self.log.write(rows)
                if self.buffer.full:
                    self._hand_on()

    def _hand_on(self) -> None:
        block = self.buffer.take()
        if block is not None:
            self.reporter.append(block)

    def _save(self, reporter: dict[str, Any], log: int | None) -> None:
        assert self.output is not None
        self.output.parent.mkdir(parents=True, exist_ok=True)
        Checkpoint.of(self.engine, self.schedule, self.identity, reporter, log).save(checkpoint_path(self.output))

    def _close(self) -> None:
        with self._writing():
            notes = self._stops()
            for system, rate in self.engine.drift_rates().items():
                notes.setdefault(system, {})["energy_drift"] = rate
            times = self.engine.heat_times()
            for system, rates in self.engine.heat().items():
                notes.setdefault(system, {}).update(heat=rates, heat_time=times[system])
            self.reporter.close(notes)
            if self.log is not None:
                self.log.close()

    def _stops(self) -> dict[int, dict[str, Any]]:
        """Why replicas were stopped, for their provenance."""
        return {system: {"stopped": stop.reason} for system, stop in self.engine.stopped.items()}

    def _abandon(self, notes: dict[int, dict[str, Any]] | None = None) -> None:
        """Close what is open, whatever state it is in."""
        with suppress(Exception):
            self.reporter.close(notes or {})
        if self.log is not None:
            with suppress(Exception):
                self.log.close()

    def _found(self) -> Checkpoint | None:
        """The checkpoint to go on from; a run that was killed before its first frame begins again."""
        assert self.output is not None
        assert self.log_path is not None
        path = checkpoint_path(self.output)
        if not path.exists():
            for file in self._files:
                if file.exists():
                    raise ForcefreeError(f"there is no checkpoint {path}, so {file} is left as it is; choose another output")
            return None
        checkpoint = read_checkpoint(path)
        self.identity.refuse_other(checkpoint.identity, path)
        if not checkpoint.reporter:
            for half in (*self._files, self.log_path, path):
                half.unlink(missing_ok=True)
            return None
        self.schedule = self._same_grid(checkpoint)
        return checkpoint

    def _same_grid(self, checkpoint: Checkpoint) -> Schedule:
        """Frames and rows go on as they began, whatever a longer duration would suggest."""
        steps_per_frame, frames_per_step, steps_per_row = checkpoint.grid
        return replace(self.schedule, steps_per_frame=steps_per_frame, frames_per_step=frames_per_step, steps_per_row=steps_per_row)

    def _claim(self) -> None:
        assert self.output is not None
        assert self.log_path is not None
        for path in (*self._files, self.log_path, checkpoint_path(self.output)):
            if path.exists():
                raise ForcefreeError(f"{path} exists already{self._whose(path)}")

    def _whose(self, path: Path) -> str:
        """The run that a file belongs to, as far as checkpoints tell, and what to do then."""
        assert self.output is not None
        if checkpoint_path(self.output).exists():
            return "; continue that run with --resume, or choose another output"
        others = [other for other in map(self.output.with_suffix, SUFFIXES) if checkpoint_path(other).exists()]
        if path == self.log_path and others:
            return f" as the log of {others[0]}; choose an output of another name"
        return "; choose another output"

    def _report(self, clock: Clock) -> Progress:
        engine, total = self.engine, self.schedule.total
        running = engine.state.n_systems - len(engine.stopped)
        temperatures = engine.temperatures()[engine.running]
        return Progress(
            step=engine.steps,
            total=total,
            time=(engine.steps - self.schedule.equilibration) * self.schedule.interval,
            ns_per_day=clock.ns_per_day,
            eta=clock.eta(max(0, total - engine.steps)) if running else 0.0,
            temperature=float(temperatures.mean()) if running else float("nan"),
            running=running,
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what the operating system says about a file into one sentence."""
        try:
            yield
        except (OSError, RuntimeError, SafetensorError) as error:
            safe = (self.engine.steps - self.schedule.equilibration) * self.schedule.interval
            self._abandon()
            raise ForcefreeError(
                f"{self.output} could not be written after {max(safe, 0.0):g} fs ({error}); {_cure(error)} and go on with --resume, "
                "what was written before stays readable"
            ) from error


def _cure(error: Exception) -> str:
    """What helps: room, unless the operating system names another reason."""
    code = getattr(error, "errno", None)
    return "make room" if code in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "mend the path or its permissions"
