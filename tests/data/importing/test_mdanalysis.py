"""XTC, DCD and TRR, written by MDAnalysis."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path

import MDAnalysis
import numpy as np
import pytest
from ase import Atoms
from ase.geometry import cell_to_cellpar
from ase.io import write
from MDAnalysis.coordinates.memory import MemoryReader

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.units import KJ_PER_MOL
from methanol import Import

_XTC_ROUNDING = 0.01


def _upright(true: Trajectory) -> tuple[Trajectory, np.ndarray]:
    """The trajectory turned so that its cell is lower triangular, as these formats need it, and wrapped positions."""
    cell = np.linalg.cholesky(true.cell @ true.cell.T)
    turn = np.linalg.inv(true.cell) @ cell
    assert true.velocities is not None
    positions = true.positions @ turn
    fractions = positions @ np.linalg.inv(cell)
    turned = {**vars(true), "cell": cell, "positions": positions, "velocities": true.velocities @ turn, "forces": true.forces @ turn}
    return Trajectory(**turned), (fractions - np.floor(fractions)) @ cell


def _write(folder: Path, true: Trajectory, wrapped: np.ndarray, suffix: str, *, dt: float = 0.25e-3, **options: int) -> tuple[Path, Path]:
    topology, path = folder / "top.pdb", folder / f"run.{suffix}"
    write(topology, Atoms(true.numbers, wrapped[0], cell=true.cell, pbc=True))
    assert true.velocities is not None
    assert true.forces is not None
    velocities = {"velocities": true.velocities * 1000.0, "forces": true.forces / KJ_PER_MOL} if suffix == "trr" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe(str(topology))
        box = np.tile(cell_to_cellpar(true.cell), (len(true), 1)).astype(np.float32)
        universe.load_new(wrapped.astype(np.float32), format=MemoryReader, dimensions=box, dt=dt, order="fac", **velocities)
        with MDAnalysis.Writer(str(path), len(true.numbers), dt=dt, **options) as writer:
            for _ in universe.trajectory:
                writer.write(universe.atoms)
    return path, topology


def test_trr_keeps_velocities_and_forces(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    upright, wrapped = _upright(true)
    path, topology = _write(tmp_path, upright, wrapped, "trr")
    found = bring(path, topology=topology)
    np.testing.assert_allclose(found.times, true.times, atol=1e-6)
    np.testing.assert_allclose(found.positions - found.positions[0], upright.positions - upright.positions[0], atol=1e-5)
    np.testing.assert_allclose(found.velocities, upright.velocities, atol=1e-6)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.forces, upright.forces, atol=1e-4)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.cell, upright.cell, atol=1e-4)
    assert found.provenance["velocities"] == "recorded"


def test_dcd_gets_central_differences(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    upright, wrapped = _upright(true)
    path, topology = _write(tmp_path, upright, wrapped, "dcd")
    found = bring(path, topology=topology)
    assert found.provenance["velocities"] == "central differences"
    np.testing.assert_allclose(found.times, true.times[1:-1], atol=1e-3)
    np.testing.assert_allclose(found.velocities, upright.velocities[1:-1], atol=2e-3)  # type: ignore[index, arg-type]


def _twice(true: Trajectory) -> Trajectory:
    """Two copies of the molecule, since XTC rounds only systems of ten atoms and more."""
    assert true.velocities is not None
    assert true.forces is not None
    double = {
        "numbers": np.tile(true.numbers, 2),
        "masses": np.tile(true.masses, 2),
        "positions": np.concatenate([true.positions, true.positions + 0.5 * true.cell.sum(axis=0)], axis=1),
        "velocities": np.tile(true.velocities, (1, 2, 1)),
        "forces": np.tile(true.forces, (1, 2, 1)),
    }
    return Trajectory(**{**vars(true), **double})


def test_xtc_is_too_coarse_for_velocities_but_its_positions_unwrap(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    upright, wrapped = _upright(_twice(true))
    path, topology = _write(tmp_path, upright, wrapped, "xtc")
    found = bring(path, topology=topology, velocities="none")
    moved, truly = found.positions - found.positions[0], upright.positions - upright.positions[0]
    assert 0.003 < np.abs(moved - truly).max() < 1.01 * _XTC_ROUNDING
    coarse, topology = _write(tmp_path, upright, wrapped, "xtc", precision=2)
    with pytest.raises(ForcefreeError, match="too coarsely rounded"):
        bring(coarse, topology=topology)


def test_a_wrong_time_in_the_header_is_replaced_by_the_users(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    upright, wrapped = _upright(true)
    path, topology = _write(tmp_path, upright, wrapped, "dcd", dt=1.0)
    np.testing.assert_allclose(bring(path, topology=topology, timestep=0.25).times, true.times[1:-1])


def test_late_times_in_single_precision_are_equally_spaced(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    upright, wrapped = _upright(true)
    path, topology = _write(tmp_path, upright, wrapped, "trr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe(str(topology), str(path))
        late = tmp_path / "late.trr"
        with MDAnalysis.Writer(str(late), 6) as writer:
            for index, step in enumerate(universe.trajectory):
                step.time = 12_345.678 + 0.002 * index
                writer.write(universe.atoms)
    found = bring(late, topology=topology, velocities="none")
    assert found.spacing == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("suffix", ["xtc", "trr", "dcd"])
def test_truncated_files_are_one_sentence_or_shorter(tmp_path: Path, true: Trajectory, bring: Import, suffix: str) -> None:
    """The formats announce no number of frames, so a reader may stop at the last whole one; it may not fail otherwise."""
    upright, wrapped = _upright(true)
    path, topology = _write(tmp_path, upright, wrapped, suffix)
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    with suppress(ForcefreeError):
        found = bring(path, topology=topology, velocities="none", timestep=0.25)
        np.testing.assert_allclose(np.diff(found.positions, axis=0), np.diff(upright.positions[: len(found)], axis=0), atol=0.03)


def test_elements_come_from_the_topology_masses_or_the_user(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    upright, wrapped = _upright(true)
    path, topology = _write(tmp_path, upright, wrapped, "trr")
    nameless = tmp_path / "nameless.pdb"
    nameless.write_text("\n".join(line[:76] for line in topology.read_text().splitlines()) + "\n")
    with pytest.raises(ForcefreeError, match="names no elements"):
        bring(path, topology=nameless)
    found = bring(path, topology=nameless, elements=("C", "O", "H", "H", "H", "H"))
    np.testing.assert_array_equal(found.numbers, true.numbers)
    with pytest.raises(ForcefreeError, match=r"names 2 elements, but .* has 6 atoms"):
        bring(path, topology=nameless, elements=("C", "O"))


def _psf(masses: list[float]) -> str:
    rows = [f"{i:8d} SYS  1    MOL  A{i:<3d} A{i:<3d} {0.0:10.6f} {mass:13.4f} {0:11d}" for i, mass in enumerate(masses, 1)]
    return "\n".join(
        ["PSF", "", "       1 !NTITLE", " REMARKS none", "", f"{len(masses):8d} !NATOM", *rows, "", "       0 !NBOND: bonds", ""]
    )


def test_masses_of_a_psf_tell_the_elements_unless_they_are_odd(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    upright, wrapped = _upright(true)
    path, _ = _write(tmp_path, upright, wrapped, "trr")
    topology = tmp_path / "top.psf"
    topology.write_text(_psf([12.011, 15.999, 1.008, 1.008, 1.008, 1.008]))
    np.testing.assert_array_equal(bring(path, topology=topology).numbers, true.numbers)
    topology.write_text(_psf([12.011, 15.999, 1.008, 1.008, 1.008, 3.3]))
    with pytest.raises(ForcefreeError, match=r"atom 5 weighs 3\.3 amu"):
        bring(path, topology=topology)


def test_what_does_not_fit_is_one_sentence(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    upright, wrapped = _upright(true)
    path, topology = _write(tmp_path, upright, wrapped, "trr")
    with pytest.raises(ForcefreeError, match="give a structure of the same atoms with --topology"):
        bring(path)
    with pytest.raises(ForcefreeError, match="does not exist"):
        bring(path, topology=tmp_path / "none.pdb")
    with pytest.raises(ForcefreeError, match="fixes its units; leave --length-unit out"):
        bring(path, topology=topology, units={"length": "nm"})
    other = tmp_path / "water.pdb"
    write(other, Atoms("H2O", np.eye(3)))
    with pytest.raises(ForcefreeError, match="do they belong together"):
        bring(path, topology=other)
