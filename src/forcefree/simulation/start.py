"""What a simulation starts from: files, names, structures or states."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from ase import Atoms

from forcefree.models.forecaster import Forecaster
from forcefree.reference.starts import check_structure, find_start
from forcefree.simulation.beginning import read_window
from forcefree.state import State

Start: TypeAlias = str | Path | Atoms | Sequence[Atoms] | State
"""A structure file, a bundled or ASE name, one or more ASE structures, or a state."""


def read_start(start: Start) -> State:
    """The start as a state.

    Raises:
        ForcefreeError: If it cannot be read, has no atoms, or has positions that are not finite or overlap.
    """
    if isinstance(start, State):
        return start
    if isinstance(start, (str, Path)):
        return State.from_atoms([find_start(str(start))])
    if isinstance(start, Atoms):
        return State.from_atoms([check_structure(start, "the start structure")])
    return State.from_atoms([check_structure(atoms, f"start structure {index}") for index, atoms in enumerate(start)])


def read_history(start: Start | tuple[State, ...], model: Forecaster) -> tuple[State, ...]:
    """The frames that the start gives: the end of a trajectory for a model of several frames and a store, otherwise one.

    Raises:
        ForcefreeError: If it cannot be read or does not suit the model.
    """
    if isinstance(start, tuple) and start and all(isinstance(frame, State) for frame in start):
        return tuple(frame for frame in start if isinstance(frame, State))
    if model.card.history_length > 1 and isinstance(start, (str, Path)) and Path(start).suffix in (".h5", ".h5md"):
        return read_window(Path(start), model.card)
    return (read_start(start),)
