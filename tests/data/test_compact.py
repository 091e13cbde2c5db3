"""The small copy says the same as the original, within its rounding."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from forcefree.data.compact import FOR_TRAINING, compact_copy
from forcefree.data.h5md import read_store, write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError


@pytest.fixture
def trajectory() -> Trajectory:
    rng = np.random.default_rng(0)
    return Trajectory(
        name="run_0000",
        numbers=np.array([6, 8, 1]),
        masses=np.array([12.011, 15.999, 1.008]),
        times=2.0 * np.arange(2000),
        positions=3.0 * rng.standard_normal((2000, 3, 3)),
        velocities=0.01 * rng.standard_normal((2000, 3, 3)),
        energies=rng.standard_normal(2000),
        forces=rng.standard_normal((2000, 3, 3)),
        provenance={"temperature": 300.0},
    )


def test_positions_and_velocities_are_rounded_and_the_rest_is_exact(tmp_path: Path, trajectory: Trajectory) -> None:
    write_store(tmp_path / "full.h5", [trajectory], {"kind": "reference"})
    small = compact_copy(tmp_path / "full.h5", tmp_path / "small.h5", stride=2, start=100)
    (found,) = read_store(small)
    expected = trajectory.frames(100, 2000, 2)
    assert found.velocities is not None
    assert expected.velocities is not None
    assert np.abs(found.positions - expected.positions).max() < 0.6e-3
    assert np.abs(found.velocities - expected.velocities).max() < 0.6e-5
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_array_equal(found.energies, expected.energies)
    assert found.forces is None
    assert found.provenance == trajectory.provenance
    per_frame = small.stat().st_size / len(found)
    assert per_frame < 0.4 * (tmp_path / "full.h5").stat().st_size / 2000


def test_an_existing_target_and_a_missing_source_are_refused(tmp_path: Path, trajectory: Trajectory) -> None:
    write_store(tmp_path / "full.h5", [trajectory])
    with pytest.raises(ForcefreeError, match="exists already"):
        compact_copy(tmp_path / "full.h5", tmp_path / "full.h5")
    with pytest.raises(ForcefreeError, match="does not exist"):
        compact_copy(tmp_path / "none.h5", tmp_path / "small.h5")


def test_for_training_some_frames_of_some_runs_are_kept_with_their_own_energies(tmp_path: Path, trajectory: Trajectory) -> None:
    energies = np.asarray(trajectory.energies)
    silent = replace(trajectory, name="run_0000", energies=None)
    others = [replace(trajectory, name=f"run_000{index}", energies=energies + index) for index in (1, 2)]
    write_store(tmp_path / "full.h5", [silent, *others])
    small = compact_copy(tmp_path / "full.h5", tmp_path / "small.h5", stop=50, runs=slice(1, 2), digits=FOR_TRAINING)
    (found,) = read_store(small)
    assert found.name == "run_0001"
    np.testing.assert_array_equal(found.energies, energies[:50] + 1)
    assert found.velocities is not None
    assert trajectory.velocities is not None
    assert np.abs(found.positions - trajectory.positions[:50]).max() < 0.6e-5
    assert np.abs(found.velocities - trajectory.velocities[:50]).max() < 0.6e-6


@pytest.mark.parametrize("nothing", [{"runs": slice(7, None)}, {"start": 2000}, {"stop": 0}])
def test_a_copy_of_nothing_is_refused_and_leaves_nothing(tmp_path: Path, trajectory: Trajectory, nothing: dict[str, Any]) -> None:
    write_store(tmp_path / "full.h5", [trajectory])
    with pytest.raises(ForcefreeError, match="it has 1 trajectories"):
        compact_copy(tmp_path / "full.h5", tmp_path / "small.h5", **nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["full.h5"]


def test_the_cell_of_a_periodic_copy_goes_with_its_frames(tmp_path: Path, trajectory: Trajectory) -> None:
    import MDAnalysis

    cell = np.array([[9.0, 0.0, 0.0], [1.0, 8.0, 0.0], [0.0, 2.0, 7.0]])
    write_store(tmp_path / "full.h5", [replace(trajectory, cell=cell, pbc=np.ones(3, dtype=bool))])
    small = compact_copy(tmp_path / "full.h5", tmp_path / "small.h5", start=100, stride=5)
    (found,) = read_store(small)
    np.testing.assert_array_equal(found.cell, cell)
    assert found.pbc.all()
    with h5py.File(small) as file:
        for dataset in ("value", "step", "time"):
            assert len(file[f"particles/run_0000/box/edges/{dataset}"]) == len(found) == 380
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe.empty(3)
        universe.load_new(str(small), format="H5MD")
        assert len(universe.trajectory) == 380
        np.testing.assert_allclose(universe.trajectory[-1].positions, found.positions[-1], atol=1e-5)
        assert universe.trajectory[-1].volume == pytest.approx(9.0 * 8.0 * 7.0, rel=1e-5)


@pytest.mark.parametrize("content", [b"not HDF5 but a text that is long enough to have been a superblock", b""])
def test_a_source_that_is_no_store_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "full.h5").write_bytes(content)
    with pytest.raises(ForcefreeError, match=r"full\.h5 (cannot be read as HDF5|is truncated)"):
        compact_copy(tmp_path / "full.h5", tmp_path / "small.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["full.h5"]
