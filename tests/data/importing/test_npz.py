"""The generic npz layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forcefree.data.h5md import read_store
from forcefree.data.importing.conversion import import_trajectories
from forcefree.data.importing.source import ImportOptions
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from methanol import Import, assert_same


def _arrays(true: Trajectory) -> dict[str, Any]:
    return {
        "Z": true.numbers,
        "pos": true.positions,
        "vel": true.velocities,
        "forces": true.forces,
        "energy": true.energies,
        "cell": true.cell,
        "time": true.times,
        "dt": np.float32(0.25),
    }


def test_everything_comes_back(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    path = tmp_path / "run.npz"
    np.savez(path, **_arrays(true))
    assert_same(bring(path), true)


def test_dt_stands_in_for_time_and_the_user_for_both(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    path, arrays = tmp_path / "run.npz", _arrays(true)
    del arrays["time"]
    np.savez(path, **arrays)
    assert_same(bring(path), true)
    del arrays["dt"]
    np.savez(path, **arrays)
    with pytest.raises(ForcefreeError, match="give --timestep"):
        bring(path)
    assert_same(bring(path, timestep=0.25), true)


def test_other_units_can_be_said(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    assert true.velocities is not None
    assert true.forces is not None
    assert true.energies is not None
    path, kcal = tmp_path / "run.npz", 0.04336410390059322
    arrays = _arrays(true) | {
        "pos": true.positions / 10,
        "cell": true.cell / 10,
        "vel": true.velocities * 100,
        "forces": true.forces / kcal * 10,
        "energy": true.energies / kcal,
    }
    np.savez(path, **arrays)
    found = bring(path, units={"length": "nm", "velocity": "nm/ps", "energy": "kcal/mol"})
    assert_same(found, true, tolerance=1e-6)


def test_without_a_cell_the_system_is_isolated_and_masses_are_kept(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    path, arrays = tmp_path / "run.npz", _arrays(true) | {"masses": true.masses * 2}
    del arrays["cell"]
    np.savez(path, **arrays)
    found = bring(path)
    assert not found.pbc.any()
    np.testing.assert_array_equal(found.masses, true.masses * 2)


def test_pairs_become_trajectories_of_two_frames(tmp_path: Path, true: Trajectory) -> None:
    assert true.velocities is not None
    path, output = tmp_path / "pairs.npz", tmp_path / "pairs.h5"
    np.savez(
        path,
        Z=true.numbers,
        pos=true.positions[:-4],
        vel=true.velocities[:-4],
        pos_future=true.positions[4:],
        vel_future=true.velocities[4:],
        cell=true.cell,
        lag_fs=1.0,
    )
    import_trajectories([path], output, ImportOptions())
    pairs = list(read_store(output))
    assert [pair.name for pair in pairs[:2]] == ["pairs_0000", "pairs_0001"]
    assert len(pairs) == 36
    for index, pair in enumerate(pairs):
        np.testing.assert_array_equal(pair.times, [0.0, 1.0])
        np.testing.assert_allclose(np.diff(pair.positions, axis=0)[0], true.positions[index + 4] - true.positions[index], atol=1e-9)
        np.testing.assert_array_equal(pair.velocities, true.velocities[[index, index + 4]])


def test_an_unknown_layout_names_its_arrays(tmp_path: Path, bring: Import) -> None:
    np.savez(tmp_path / "model.npz", weights=np.zeros(3), bias=np.zeros(1))
    with pytest.raises(ForcefreeError, match="arrays weights, bias, which are no layout known here"):
        bring(tmp_path / "model.npz")


def test_a_changing_cell_is_refused(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    np.savez(tmp_path / "run.npz", **(_arrays(true) | {"cell": np.broadcast_to(true.cell, (40, 3, 3))}))
    with pytest.raises(ForcefreeError, match="one constant 3 x 3 cell"):
        bring(tmp_path / "run.npz")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dt": np.full(40, 0.25)}, r"array 'dt' has shape \(40,\); a single number is needed"),
        ({"pos_future": np.zeros((39, 6, 3)), "lag_fs": 1.0}, "array 'pos_future' has 39 frames; 40 expected"),
        ({"pos_future": np.zeros((40, 6, 3))}, "has no array 'lag_fs'; it has Z, pos"),
        ({"pos_future": np.zeros((40, 6, 3)), "lag_fs": np.ones(40)}, r"array 'lag_fs' has shape \(40,\)"),
        ({"cell": np.diag([9.0, 9.0, 0.0])}, r"run\.npz: .* does not span the periodic directions"),
        ({"masses": np.array([12.0, 16.0, 1.0, 0.0, 1.0, 1.0])}, r"an atom of mass 0 amu \(atom 3\); masses are positive"),
        ({"masses": np.array([12.0, np.nan, 1.0, 1.0, 1.0, 1.0])}, r"an atom of mass nan amu \(atom 1\)"),
    ],
)
def test_arrays_that_do_not_fit_are_one_sentence(
    tmp_path: Path, true: Trajectory, bring: Import, change: dict[str, Any], sentence: str
) -> None:
    arrays = {key: value for key, value in _arrays(true).items() if key != "time"}
    np.savez(tmp_path / "run.npz", **(arrays | change))
    with pytest.raises(ForcefreeError, match=sentence):
        bring(tmp_path / "run.npz")
