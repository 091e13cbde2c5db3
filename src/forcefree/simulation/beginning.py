"""How a run begins where another ended, and a model of several frames from one frame and somebody else's first steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.files import load
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig
from forcefree.reference.starts import check_structure
from forcefree.state import State

REFERENCE = "reference"
_LONGEST_TIMESTEP = 0.5  # fs


def read_ends(path: Path, notice: Callable[[str], None]) -> State:
    """The last frame of every trajectory of a store, each a system, with its velocities where all have them.

    Args:
        path: H5MD file.
        notice: Told which trajectories are left out, because a guard stopped them.

    Raises:
        ForcefreeError: If the store cannot be read, no trajectory is left, or an end has positions that no run can start from.
    """
    ends = list(_unstopped(path, notice, last=1))
    for end in ends:
        check_structure(_atoms(end, -1), f"the end of trajectory '{end.name}' of {path}")
    return _state(ends, -1)


def read_window(path: Path, card: Card, notice: Callable[[str], None]) -> tuple[State, ...]:
    """The last frames of the first trajectory of a store, as many and as far apart as the model needs.

    Args:
        path: H5MD file.
        card: Of the model.
        notice: Told which trajectories are left out, because a guard stopped them.

    Raises:
        ForcefreeError: If the store cannot be read, or the trajectory is too short, too coarse or without velocities.
    """
    trajectory = next(_unstopped(path, notice))
    spacing = card.history_spacing or trajectory.spacing
    stride = round(spacing / trajectory.spacing)
    if stride < 1 or abs(stride * trajectory.spacing - spacing) > 1e-3 * spacing:
        raise ForcefreeError(
            f"{path} has frames {trajectory.spacing:g} fs apart, but model {card.name} starts from frames {spacing:g} fs apart; record those"
        )
    needed = (card.history_length - 1) * stride + 1
    if len(trajectory) < needed or trajectory.velocities is None:
        raise ForcefreeError(
            f"{path} cannot start model {card.name}: it needs {card.history_length} frames {spacing:g} fs apart with velocities, "
            f"but trajectory '{trajectory.name}' has {len(trajectory)} frames {'with' if trajectory.velocities is not None else 'without'} them"
        )
    chosen = trajectory.frames(len(trajectory) - needed, len(trajectory), stride)
    return tuple(_state([chosen], index) for index in range(len(chosen)))


def check_bootstrap(card: Card, source: str | None) -> None:
    """See that somebody who should make the first frames has any to make.

    Args:
        card: Of the model of the run.
        source: As for :func:`first_steps`, None where nobody should.

    Raises:
        ForcefreeError: If the model starts from one frame.
    """
    if source is not None and card.history_length == 1:
        raise ForcefreeError(
            f"model {card.name} starts from one frame, so bootstrap ({source}) has nothing to make; leave it out, it belongs to models of several frames"
        )


def first_steps(state: State, card: Card, source: str) -> tuple[State, ...]:
    """Frames that lead from one frame to a whole window, by undisturbed dynamics of somebody else.

    Args:
        state: The first frame.
        card: Of the model that needs the window.
        source: A model file, a bundled name, or ``reference`` for the calculator of the card.

    Returns:
        The window, its last frame at the time of ``state``.

    Raises:
        ForcefreeError: If the other model or the calculator cannot serve.
    """
    spacing, count = float(card.history_spacing or 0.0), card.history_length
    frames = _by_reference(state, card, spacing, count) if source == REFERENCE else _by_model(state, source, spacing, count)
    back = [spacing * (index - count + 1) for index in range(count)]
    return tuple(frame.with_(time=state.time + age) for frame, age in zip(frames, back, strict=True))


def _by_model(state: State, source: str, spacing: float, count: int) -> list[State]:
    model = load(source).to(state.positions.device)
    if model.card.history_length != 1:
        raise ForcefreeError(
            f"bootstrap model {model.card.name} itself needs {model.card.history_length} frames; choose one that needs one frame"
        )
    frames = [state]
    with torch.inference_mode():
        for _ in range(count - 1):
            frames.append(model.propagate(frames[-1], spacing))
    return frames


def _by_reference(state: State, card: Card, spacing: float, count: int) -> list[State]:
    if card.calculator is None:
        raise ForcefreeError(f"the card of model {card.name} names no calculator to bootstrap with; name a model of one frame instead")
    calculator = CalculatorConfig.parse(card.calculator, f"the calculator of model {card.name}")
    steps = math.ceil(spacing / _LONGEST_TIMESTEP - 1e-9)
    rows: list[list[Atoms]] = [[] for _ in range(count)]
    for molecule in state.to_atoms():
        molecule.calc = build_calculator(calculator)
        dynamics = VelocityVerlet(molecule, spacing / steps * units.fs)
        for index in range(count):
            if index:
                dynamics.run(steps)
            rows[index].append(molecule.copy())
    device = state.positions.device
    return [state, *(_alike(State.from_atoms(molecules).to(device), state) for molecules in rows[1:])]


def _alike(frame: State, state: State) -> State:
    return state.with_(positions=frame.positions, velocities=frame.velocities)


def _unstopped(path: Path, notice: Callable[[str], None], last: int | None = None) -> Iterator[Trajectory]:
    """Trajectories of a store that did not leave the world of their model, with their ``last`` frames."""
    good = 0
    for trajectory in read_store(path, last=last):
        if "stopped" in trajectory.provenance:
            notice(f"'{trajectory.name}' of {path} is left out, because a guard stopped it")
        else:
            good += 1
            yield trajectory
    if not good:
        raise ForcefreeError(f"{path} has no trajectory to start from: each is empty or was stopped by a guard; give another start")


def _state(trajectories: Sequence[Trajectory], index: int) -> State:
    """Frame ``index`` of every trajectory, at rest unless all have velocities; its time counts from the last frame."""
    state = State.from_atoms([_atoms(trajectory, index) for trajectory in trajectories])
    velocities = [trajectory.velocities[index] for trajectory in trajectories if trajectory.velocities is not None]
    ages = [trajectory.times[index] - trajectory.times[-1] for trajectory in trajectories]
    state = state.with_(time=torch.tensor(ages, dtype=torch.float64))
    return state.with_(velocities=torch.from_numpy(np.concatenate(velocities))) if len(velocities) == len(trajectories) else state


def _atoms(trajectory: Trajectory, index: int) -> Atoms:
    return Atoms(
        trajectory.numbers, positions=trajectory.positions[index], cell=trajectory.cell, pbc=trajectory.pbc, masses=trajectory.masses
    )


def repeated(history: Sequence[State], copies: int, state: State) -> tuple[State, ...]:
    """The history of ``copies`` replicas on the device and clock of their start ``state``."""
    return tuple(
        state.with_(
            positions=frame.repeat(copies).positions.to(state.positions),
            velocities=frame.repeat(copies).velocities.to(state.positions),
            time=state.time + (frame.time - history[-1].time).repeat(copies).to(state.time),
        )
        for frame in history
    )
