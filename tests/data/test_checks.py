"""What is refused of a trajectory, and that what is sound passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from forcefree.data.checks import check_finite, check_heat, check_overlaps, mean_temperature
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError


def still(atoms: Atoms, frames: int = 8) -> Trajectory:
    """Frames 2 fs apart of atoms that shake by a hundredth of an ångström, with the velocities of ``atoms``."""
    rng = np.random.default_rng(0)
    velocities = np.repeat(atoms.get_velocities()[None] * units.fs, frames, axis=0)
    return Trajectory(
        "run", atoms.numbers.astype(np.int64), atoms.get_masses(), 2.0 * np.arange(frames),
        atoms.positions + 0.01 * rng.standard_normal((frames, len(atoms), 3)), velocities,
        cell=np.asarray(atoms.cell.array), pbc=np.asarray(atoms.pbc),
    )  # fmt: skip


@pytest.mark.parametrize("noun", ["position", "velocity"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_value_that_is_no_number_is_named(noun: str, value: float) -> None:
    run = still(molecule("H2O"))
    check_finite(run)
    values = run.positions if noun == "position" else run.velocities
    assert values is not None
    values[3, 1, 2] = values[5, 0, 0] = value
    with pytest.raises(ForcefreeError, match=rf"'run' has a {noun} that is not a finite number \(frame 3, atom 1\); cut the run"):
        check_finite(run)


def test_overlaps_are_found_inside_and_across_the_boundary() -> None:
    water = still(molecule("H2O"))
    check_overlaps(water)
    water.positions[4, 2] = water.positions[4, 0] + [0.0, 0.3, 0.0]
    with pytest.raises(ForcefreeError, match=r"'run' has O0 and H2 only 0\.300 Å apart at 8 fs; no two atoms come closer than 0\.4 Å"):
        check_overlaps(water)
    check_overlaps(replace(water, positions=10.0 * water.positions))

    crystal = still(bulk("NaCl", "rocksalt", a=5.64, cubic=True))
    check_overlaps(crystal)
    crystal.positions[0, 1] = crystal.positions[0, 0] + crystal.cell[0] + [0.2, 0.0, 0.0]
    with pytest.raises(ForcefreeError, match=r"Na0 and Cl1 only 0\.200 Å apart at 0 fs"):
        check_overlaps(crystal)


def test_few_looks_pass_over_frames_in_between() -> None:
    run = still(molecule("H2O"))
    run.positions[3, 1] = run.positions[3, 0]
    check_overlaps(run, frames=4)
    with pytest.raises(ForcefreeError):
        check_overlaps(run, frames=8)


@pytest.mark.parametrize("kelvin", [150.0, 900.0])
def test_the_temperature_is_ases_over_the_freedom_that_momentum_leaves(kelvin: float) -> None:
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    MaxwellBoltzmannDistribution(atoms, temperature_K=kelvin, rng=np.random.default_rng(1))
    expected = atoms.get_temperature() * len(atoms) / (len(atoms) - 1)
    assert mean_temperature(still(atoms)) == pytest.approx(expected, rel=1e-9)


def test_velocities_in_another_unit_are_refused_with_their_temperature() -> None:
    atoms = molecule("CH3CH2OH")
    MaxwellBoltzmannDistribution(atoms, temperature_K=300.0, rng=np.random.default_rng(1))
    run = still(atoms)
    assert run.velocities is not None
    check_heat(run)
    for factor in (1.0 / units.fs, 1000.0):
        hot = replace(run, velocities=factor * run.velocities)
        value = re_escaped(f"{mean_temperature(hot):.3g}")
        with pytest.raises(ForcefreeError, match=rf"has velocities of {value} K, beyond 3000 K; .* forcefree import"):
            check_heat(hot, 3000.0)
    check_heat(replace(run, velocities=None))


def re_escaped(text: str) -> str:
    return text.replace("+", r"\+").replace(".", r"\.")


def test_an_atom_on_top_of_its_own_image_is_an_overlap() -> None:
    lone = still(Atoms("Ar", cell=[9.0, 0.3, 9.0], pbc=True))
    with pytest.raises(ForcefreeError, match=r"Ar0 and Ar0 only 0\.300 Å apart"):
        check_overlaps(lone)
    check_overlaps(replace(lone, pbc=np.array([True, False, True])))


@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [9.0, 9.0, 0.0], [0.0, 0.0, np.nan]])
def test_a_cell_that_does_not_span_its_periodic_directions_is_refused(row: list[float]) -> None:
    run = replace(still(molecule("H2O")), cell=np.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], row]), pbc=np.ones(3, dtype=bool))
    with pytest.raises(ForcefreeError, match=r"'run' is periodic but its cell .* does not span the periodic directions"):
        check_overlaps(run)


def test_a_lone_atom_has_a_temperature_and_none_that_is_no_number() -> None:
    run = still(Atoms("Ar"))
    kelvin = 39.948 * 0.01**2 * 103.642696562 / 8.617330338e-5
    moving = replace(run, velocities=np.full_like(run.positions, 0.01 / np.sqrt(3.0)))
    assert mean_temperature(moving) == pytest.approx(kelvin, rel=1e-5)
    with pytest.raises(ForcefreeError, match="velocities of nan K"):
        check_heat(replace(run, velocities=np.full_like(run.positions, np.nan)))
    check_heat(moving.frames(0, 0))
