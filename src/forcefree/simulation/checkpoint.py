"""Checkpoints: everything a simulation needs to go on, in one file that is either the old one or the new one, never half.

Random numbers and thermostats are functions of the step, so positions, velocities and a few flags are the whole memory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.choice import USUAL_HALVINGS
from forcefree.simulation.engine import Engine, Stop
from forcefree.simulation.options import SimulationOptions
from forcefree.simulation.schedule import Schedule
from forcefree.state import State

FORMAT = 1
_TENSORS = ("positions", "velocities", "time", "running", "rotation")
_FREE = ("duration",)
_THERMOSTAT = ("thermostat", "thermostat_time")
_LATER = {"compile": False, "tolerance": None, "halvings": USUAL_HALVINGS}
"""Options that older checkpoints do not have, with what is done where they are not given."""


@dataclass(frozen=True)
class Identity:
    """What must be the same for a run to be continued.

    Attributes:
        model: Hash of the weights and card.
        start: Hash of the start structure.
        options: Options of the simulation as JSON values.
    """

    model: str
    start: str
    options: dict[str, Any]

    @classmethod
    def of(cls, model: Forecaster, start: State, options: SimulationOptions, earlier: Sequence[State] = ()) -> Identity:
        """Identify a simulation that starts from ``start`` and the frames before it."""
        weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
        whole = {name: getattr(start, name).cpu() for name in start.__dataclass_fields__}
        for index, frame in enumerate(earlier):
            whole |= {f"{noun}_{index}": getattr(frame, noun).cpu() for noun in ("positions", "velocities", "time")}
        return cls(_digest(weights, model.card.lasting_json()), _digest(whole, ""), options.model_dump(mode="json"))

    @property
    def _unthermostatted(self) -> bool:
        """Whether thermostat options have no effect; they were once accepted there all the same."""
        options = self.options
        return options.get("ensemble") == "nve" and not (options.get("temperature") and options.get("equilibration"))

    def refuse_other(self, other: Identity, path: Path) -> None:
        """Refuse a checkpoint of another simulation.

        Raises:
            ForcefreeError: Naming what differs.
        """
        if other.model != self.model:
            raise ForcefreeError(f"checkpoint {path} was made with another model; continue with that model or choose another output")
        if other.start != self.start:
            raise ForcefreeError(f"checkpoint {path} was made from another start structure; give that one or choose another output")
        idle = _THERMOSTAT if self._unthermostatted and other._unthermostatted else ()
        for key, value in self.options.items():
            if key not in (*_FREE, *idle) and _settled(key, other.options.get(key)) != _settled(key, value):
                raise ForcefreeError(
                    f"checkpoint {path} was made with {key} {other.options.get(key)}, not {value}; only the duration may change when a run goes on"
                )


@dataclass(frozen=True)
class Checkpoint:
    """A simulation at one step.

    Attributes:
        identity: Which simulation.
        step: Steps taken.
        grid: Steps per frame, frames per step, steps per row of the log.
        tensors: State and flags of the engine, and what its propagator and monitor must know.
        stopped: Replicas that a guard has stopped.
        reporter: Where the trajectory continues.
        log: Where the log continues, in bytes.
    """

    identity: Identity
    step: int
    grid: tuple[int, int, int]
    tensors: dict[str, Tensor]
    stopped: dict[int, Stop]
    reporter: dict[str, Any]
    log: int | None

    @classmethod
    def of(cls, engine: Engine, schedule: Schedule, identity: Identity, reporter: dict[str, Any], log: int | None) -> Checkpoint:
        """Take a checkpoint of an engine."""
        state = engine.state
        values = (state.positions, state.velocities, state.time, engine.running, engine.rotation)
        tensors = {name: value.detach().cpu().clone() for name, value in zip(_TENSORS, values, strict=True)}
        tensors |= {name: value.detach().cpu().clone() for name, value in engine.memory().items()}
        grid = (schedule.steps_per_frame, schedule.frames_per_step, schedule.steps_per_row)
        return cls(identity, engine.steps, grid, tensors, dict(engine.stopped), reporter, log)

    def restore(self, engine: Engine) -> None:
        """Bring a fresh engine of the same simulation to this step."""
        here = {name: value.to(engine.state.time.device) for name, value in self.tensors.items()}
        engine.state = engine.state.with_(positions=here["positions"], velocities=here["velocities"], time=here["time"])
        engine.running, engine.rotation = here["running"], here["rotation"]
        engine.recall(here)
        engine.stopped = dict(self.stopped)
        engine.steps = self.step

    def save(self, path: Path) -> None:
        """Write to ``path``; the previous checkpoint stays in place until the new one is safe on disk."""
        values = {
            "format": FORMAT,
            "identity": vars(self.identity),
            "step": self.step,
            "grid": self.grid,
            "stopped": {str(system): vars(stop) for system, stop in self.stopped.items()},
            "reporter": self.reporter,
            "log": self.log,
        }
        text = json.dumps(values)
        partial = path.with_name(path.name + ".partial")
        save_file(self.tensors, partial, metadata={"checkpoint": text, "digest": _digest(self.tensors, text)})
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)


def checkpoint_path(output: Path) -> Path:
    """Where the checkpoint of a simulation lies: beside its output."""
    return output.with_name(output.name + ".checkpoint")


def lock_path(output: Path) -> Path:
    """What the process that writes a simulation holds: beside its output, and of another name for every output."""
    return output.with_name(output.name + ".lock")


def options_of_checkpoint(output: Path) -> dict[str, Any] | None:
    """Options of the run whose checkpoint lies beside ``output``, None where there is none.

    Raises:
        ForcefreeError: If it is damaged or of a later format.
    """
    path = checkpoint_path(output)
    return read_checkpoint(path).identity.options if path.exists() else None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ForcefreeError: If it is missing, damaged, or of a later format.
    """
    if not path.is_file():
        raise ForcefreeError(f"there is no checkpoint {path}, so no run can go on from there; choose another output")
    damaged = f"checkpoint {path} is damaged; remove it and the output, and start again"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in {*_TENSORS, *file.keys()}}
        values = json.loads(metadata["checkpoint"])
        if metadata["digest"] != _digest(tensors, metadata["checkpoint"]):
            raise ForcefreeError(damaged)
        if values["format"] > FORMAT:
            raise ForcefreeError(f"checkpoint {path} has format {values['format']}, this forcefree reads up to {FORMAT}; update forcefree")
        return Checkpoint(
            identity=Identity(**values["identity"]),
            step=values["step"],
            grid=tuple(values["grid"]),
            tensors=tensors,
            stopped={int(system): Stop(**stop) for system, stop in values["stopped"].items()},
            reporter=values["reporter"],
            log=values["log"],
        )
    except (SafetensorError, OSError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ForcefreeError(damaged) from error


def _settled(key: str, value: object) -> object:
    return _LATER.get(key) if value is None else value


def _digest(tensors: dict[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
