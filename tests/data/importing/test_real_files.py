"""Real trajectories, where the folder with them is beside the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forcefree.data.h5md import read_store
from forcefree.data.importing.checks import kinetic_temperatures
from forcefree.data.importing.conversion import import_trajectories
from forcefree.data.importing.source import ImportOptions
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError

_DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(not _DATA.is_dir(), reason=f"no real trajectories in {_DATA}")


def _bring(tmp_path: Path, name: str, **options: Any) -> list[Trajectory]:
    path = _DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    import_trajectories([path], tmp_path / "real.h5", ImportOptions(**options))
    return list(read_store(tmp_path / "real.h5"))


@pytest.mark.parametrize(
    ("name", "frames", "atoms", "velocities", "temperature"),
    [
        ("md17_windows/ethanol.npz", 2000, 9, "recorded", (400, 650)),
        ("mbgdml_clusters_mp2/h2o6_mp2_nve.npz", 301, 18, "recorded", (250, 450)),
        ("mbgdml_clusters_mp2/h2o4_mp2_orca.npz", 100, 12, "recorded", (100, 400)),
        ("mbgdml_clusters_mp2/meoh4_mp2_orca_posonly.npz", 99, 24, "central differences", (150, 400)),
        ("trajcast_tests/md22_Ac-Ala3-NHMe_98.npz", 96, 42, "central differences", (400, 600)),
        ("gete_aimd_216/s3_700K.npz", 400, 216, "recorded", (650, 750)),
        ("timewarp_peptides/nnqq_2olx_1ns.npz", 140, 65, "recorded", (290, 330)),
    ],
)
def test_each_comes_in_with_a_temperature_that_fits(
    tmp_path: Path, name: str, frames: int, atoms: int, velocities: str, temperature: tuple[float, float]
) -> None:
    (found,) = _bring(tmp_path, name)
    assert found.positions.shape == (frames, atoms, 3)
    assert found.provenance["velocities"] == velocities
    assert temperature[0] < float(kinetic_temperatures(found).mean()) < temperature[1]


def test_derived_velocities_of_a_velocity_verlet_run_are_its_own(tmp_path: Path) -> None:
    """Velocity Verlet's velocity at a step is the central difference of the positions around it, to rounding."""
    (recorded,) = _bring(tmp_path, "mbgdml_clusters_mp2/h2o6_mp2_nve.npz")
    (tmp_path / "real.h5").unlink()
    (derived,) = _bring(tmp_path, "mbgdml_clusters_mp2/h2o6_mp2_nve.npz", velocities="derive")
    assert recorded.velocities is not None
    np.testing.assert_allclose(derived.velocities, recorded.velocities[1:-1], atol=1e-6)  # type: ignore[arg-type]
    assert 0.02 < derived.provenance["velocities_kinetic_loss"] < 0.05


def test_water_pairs_are_forty_trajectories_of_two_frames(tmp_path: Path) -> None:
    found = _bring(tmp_path, "flashmd_water_4fs/water64_pairs.npz")
    assert len(found) == 40
    for pair in found:
        np.testing.assert_array_equal(pair.times, [0.0, 4.0])
        assert np.linalg.norm(np.diff(pair.positions, axis=0), axis=-1).max() < 1.0


def test_benzene_crosses_its_boundary_and_its_frames_are_a_tenth_of_a_femtosecond_apart(tmp_path: Path) -> None:
    name = "trajcast_tests/benzene_lammps_20.npz"
    with pytest.raises(ForcefreeError, match="give --timestep"):
        _bring(tmp_path, name)
    with pytest.raises(ForcefreeError, match=r"frames 0\.1 instead of 1 fs apart would fit"):
        _bring(tmp_path, name, timestep=1.0)
    (found,) = _bring(tmp_path, name, timestep=0.1)
    assert np.abs(np.diff(found.positions, axis=0)).max() < 0.1
    with np.load(_DATA / name) as raw:
        assert np.abs(np.diff(raw["pos"], axis=0)).max() > 19.0
