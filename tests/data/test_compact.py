"""The small copy says the same as the original, within its rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forcefree.data.compact import compact_copy
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
