"""One side of a comparison: the runs of a store that can be analysed together, read and checked at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms

from forcefree.analysis.discard import Discard
from forcefree.data.checks import check_heat
from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError

FEWEST_FRAMES = 32
"""Frames that a run must have for its distributions and spectra to mean anything."""

SAME_TEMPERATURE = 1.0
"""K; runs whose target temperatures differ by more are never mixed."""


@dataclass(frozen=True)
class Sample:
    """Runs of one system at one temperature, with velocities and equal spacing.

    Attributes:
        path: Where they were read from.
        whole: Every run, complete, without its forces.
        runs: The same runs without what was discarded; those too short are left out, and those that a guard stopped unless it stopped all.
        temperature: Target temperature in K, or None where the store does not say.
    """

    path: Path
    whole: tuple[Trajectory, ...]
    runs: tuple[Trajectory, ...]
    temperature: float | None

    @property
    def spacing(self) -> float:
        """Time between frames in fs."""
        return self.runs[0].spacing

    @property
    def ensemble(self) -> str:
        """What the runs kept constant, such as ``nve`` or ``nvt``; ``unknown`` where the store does not say."""
        return str(self.whole[0].provenance.get("ensemble", "unknown")).lower()

    @property
    def periodic(self) -> bool:
        """Whether any direction is periodic."""
        return bool(self.runs[0].pbc.any())

    @property
    def thermostat(self) -> str | None:
        """Name of the thermostat of a simulation, where the store says one."""
        name = self.whole[0].provenance.get("thermostat")
        return name if isinstance(name, str) else None

    @property
    def duration(self) -> float:
        """Time that the analysed parts cover together, in fs."""
        return float(sum(run.times[-1] - run.times[0] for run in self.runs))

    @property
    def stopped(self) -> list[str]:
        """The sentences of the replicas that a guard stopped."""
        return [str(run.provenance["stopped"]) for run in self.whole if run.provenance.get("stopped")]

    @property
    def complete(self) -> tuple[Trajectory, ...]:
        """The runs that are analysed, with what was discarded of them."""
        names = {run.name for run in self.runs}
        return tuple(run for run in self.whole if run.name in names)

    @property
    def too_short(self) -> int:
        """How many runs are left out for that alone; those that a guard stopped are so for another reason where they are long enough."""
        names = {run.name for run in self.runs}
        return sum(run.name not in names and not (run.provenance.get("stopped") and len(run) >= FEWEST_FRAMES) for run in self.whole)

    @property
    def energy_drifts(self) -> list[float]:
        """Drifts of the total energy (meV per atom and ps) that the model's own energy head estimated, where it has one."""
        return [float(run.provenance["energy_drift"]) for run in self.whole if "energy_drift" in run.provenance]

    @property
    def heat(self) -> dict[str, list[float]]:
        """Heat that the forecasts of each run made (meV per atom and ps), of the whole (``all``) and by element.

        Of runs whose store says it, and says that it was measured over at least half of their time.
        """
        told = [run.provenance["heat"] for run in self.complete if _measured(run)]
        return {name: [float(rates[name]) for rates in told if name in rates] for name in (told[0] if told else ())}


def load_sample(path: Path, *, temperature: float | None = None, discard: Discard | None = None) -> Sample:
    """Read the runs of a store that belong together.

    Args:
        path: H5MD store.
        temperature: Take only runs with this target, in K; runs that do not say their target are always taken.
        discard: What to leave out at the start of each run; nothing when not given.

    Returns:
        Runs of the same atoms with finite positions, velocities and equal spacing.

    Raises:
        ForcefreeError: If the file cannot be read, holds runs of several temperatures or systems, has no velocities,
            unequal spacing or too few frames.
    """
    whole = _at_temperature(path, _read(path), temperature)
    paced = next((run for run in whole if len(run) > 1), whole[0])
    for run in whole:
        _check(path, run, whole[0], paced)
    kept = discard or Discard()
    runs = tuple(run.frames(kept.first_frame(run), len(run)) for run in whole)
    longest = max(len(run) for run in runs)
    if longest < FEWEST_FRAMES:
        stopped = next((str(run.provenance["stopped"]) for run in whole if run.provenance.get("stopped")), "")
        raise ForcefreeError(
            f"the longest run of {path} has {longest} frames after discarding the start; at least {FEWEST_FRAMES} are needed"
            + (f" ({stopped})" if stopped else "")
        )
    runs = tuple(run for run in runs if len(run) >= FEWEST_FRAMES)
    runs = tuple(run for run in runs if not run.provenance.get("stopped")) or runs
    return Sample(path=path, whole=whole, runs=runs, temperature=_targets(whole)[0])


def check_pair(model: Sample, reference: Sample) -> None:
    """Refuse to compare different systems.

    Raises:
        ForcefreeError: If elements, their order, masses or periodicity differ.
    """
    ours, theirs = model.runs[0], reference.runs[0]
    if len(ours.numbers) != len(theirs.numbers) or sorted(ours.numbers) != sorted(theirs.numbers):
        raise ForcefreeError(
            f"{model.path} holds {_formula(ours)} but {reference.path} holds {_formula(theirs)}; a reference of the same system is needed"
        )
    if not np.array_equal(ours.numbers, theirs.numbers):
        first = int(np.flatnonzero(ours.numbers != theirs.numbers)[0])
        raise ForcefreeError(
            f"{model.path} and {reference.path} hold the same elements in another order, first at atom {first}; sort one like the other"
        )
    if not np.allclose(ours.masses, theirs.masses, rtol=1e-3):
        first = int(np.argmax(np.abs(ours.masses / theirs.masses - 1.0)))
        raise ForcefreeError(
            f"atom {first} has mass {ours.masses[first]:g} amu in {model.path} but {theirs.masses[first]:g} amu in {reference.path}"
        )
    if not np.array_equal(ours.pbc, theirs.pbc):
        raise ForcefreeError(f"{model.path} and {reference.path} differ in which directions are periodic; compare like with like")
    if ours.pbc.any() and not np.allclose(ours.cell, theirs.cell, atol=0.01):
        raise ForcefreeError(f"{model.path} and {reference.path} have cells that differ by more than 0.01 Å; compare at the same density")


def _measured(run: Trajectory) -> bool:
    time = run.provenance.get("heat_time")
    return isinstance(run.provenance.get("heat"), dict) and isinstance(time, float) and time >= 0.5 * float(run.times[-1] - run.times[0])


def _formula(run: Trajectory) -> str:
    return str(Atoms(run.numbers).get_chemical_formula())


def _read(path: Path) -> list[Trajectory]:
    try:
        runs = [replace(run, forces=None) for run in read_store(path)]
    except ForcefreeError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise ForcefreeError(f"{path} cannot be read as an H5MD trajectory ({error}); it may be truncated or damaged") from error
    if not runs:
        raise ForcefreeError(f"{path} holds no frames; let the run that writes it go on for longer")
    return runs


def _at_temperature(path: Path, runs: list[Trajectory], wanted: float | None) -> tuple[Trajectory, ...]:
    targets = [target for target in _targets(runs) if target is not None]
    listed = ", ".join(f"{target:g}" for target in targets)
    if wanted is None:
        if len(targets) > 1:
            raise ForcefreeError(f"{path} holds runs at {listed} K; choose one of these temperatures for the analysis")
        return tuple(runs)
    chosen = tuple(run for run in runs if (target := _target(run)) is None or abs(target - wanted) <= SAME_TEMPERATURE)
    if not chosen:
        raise ForcefreeError(f"{path} holds runs at {listed} K but none at {wanted:g} K; compare runs at the same temperature")
    return chosen


def _target(run: Trajectory) -> float | None:
    value = run.provenance.get("temperature")
    return float(value) if isinstance(value, (int, float)) else None


def _targets(runs: Sequence[Trajectory]) -> list[float | None]:
    """Distinct targets in ascending order; [None] where no run says its own."""
    known = sorted({target for run in runs if (target := _target(run)) is not None})
    return [*known] if known else [None]


def _check(path: Path, run: Trajectory, first: Trajectory, paced: Trajectory) -> None:
    if not np.array_equal(run.numbers, first.numbers) or not np.array_equal(run.pbc, first.pbc):
        raise ForcefreeError(f"{path} holds different systems in {first.name} and {run.name}; analyse one system at a time")
    if not np.allclose(run.masses, first.masses, rtol=1e-3):
        atom = int(np.argmax(np.abs(run.masses / first.masses - 1.0)))
        raise ForcefreeError(
            f"atom {atom} has mass {first.masses[atom]:g} amu in {first.name} of {path} but {run.masses[atom]:g} amu in {run.name}; analyse "
            "them apart"
        )
    if not np.allclose(run.cell[run.pbc], first.cell[run.pbc], atol=0.01):
        apart = np.abs(run.cell - first.cell).max()
        raise ForcefreeError(f"{path} has cells that differ by {apart:.3g} Å in {first.name} and {run.name}; analyse one density at a time")
    if run.velocities is None:
        raise ForcefreeError(f"{path} has no velocities in {run.name}; save them, or import the trajectory so that they are derived")
    if not np.isfinite(run.positions).all() or not np.isfinite(run.velocities).all():
        raise ForcefreeError(f"{path} has a position or velocity in {run.name} that is not a finite number; cut the run before it")
    try:
        check_heat(run)
    except ForcefreeError as error:
        raise ForcefreeError(f"{path}: {error}") from error
    if len(run) >= FEWEST_FRAMES and not run.velocities.any():
        raise ForcefreeError(f"{path} has velocities in {run.name} that are all zero; save them, or import with --velocities derive")
    if len(run) > 1:
        try:
            matches = np.isclose(run.spacing, paced.spacing, rtol=1e-3)
        except ForcefreeError as error:
            raise ForcefreeError(f"{path}: {error}") from error
        if not matches:
            raise ForcefreeError(f"{path} has frames {paced.spacing:g} fs apart in {paced.name} but {run.spacing:g} fs in {run.name}")
