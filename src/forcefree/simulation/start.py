"""What a simulation starts from: files, names, structures or states."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from ase import Atoms

from forcefree.data.h5md import SUFFIXES
from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.reference.starts import check_structure, find_start
from forcefree.simulation.beginning import read_ends, read_window
from forcefree.state import State

Start: TypeAlias = str | Path | Atoms | Iterable[Atoms] | State
"""A structure or trajectory file, a bundled or ASE name, one or more ASE structures, or a state."""


def read_start(start: Start) -> State:
    """The start as a state.

    Raises:
        ForcefreeError: If it is none of these, cannot be read, has no atoms, or has positions that are not finite or overlap.
    """
    if isinstance(start, State):
        return start
    if isinstance(start, (str, Path)):
        return State.from_atoms([find_start(str(start))])
    if isinstance(start, Atoms):
        return State.from_atoms([check_structure(start, "the start structure")])
    structures = list(start) if isinstance(start, Iterable) else [start]
    if not all(isinstance(atoms, Atoms) for atoms in structures):
        raise ForcefreeError(
            "a start is a file, a name, ASE structures or one State; put several systems into one State, or give structures"
        )
    return State.from_atoms([check_structure(atoms, f"start structure {index}") for index, atoms in enumerate(structures)])


def read_history(start: Start | tuple[State, ...], model: Forecaster, notice: Callable[[str], None] = lambda _: None) -> tuple[State, ...]:
    """The frames that the start gives, oldest first: of a store its ends, of anything else one frame.

    A model of one frame goes on from the last frame of every trajectory of a store, a model of several from the last frames
    of the first. Trajectories that a guard stopped are left out.

    Args:
        start: Where to start.
        model: What goes on from there.
        notice: Told what is left out.

    Raises:
        ForcefreeError: If it cannot be read or does not suit the model.
    """
    if isinstance(start, tuple) and start and all(isinstance(frame, State) for frame in start):
        if len(start) > 1 and model.card.history_length == 1:
            raise ForcefreeError(f"model {model.card.name} starts from one frame, not {len(start)}; give several systems as ASE structures")
        return tuple(frame for frame in start if isinstance(frame, State))
    if isinstance(start, (str, Path)) and Path(start).suffix in SUFFIXES:
        return read_window(Path(start), model.card, notice) if model.card.history_length > 1 else (read_ends(Path(start), notice),)
    return (read_start(start),)
