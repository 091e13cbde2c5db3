"""MD17, revised MD17 and MD22 in their original layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.units import KCAL_PER_MOL
from methanol import Import, as_trajectory, run_methanol


@pytest.fixture(scope="module")
def md17() -> Trajectory:
    """Isolated methanol, 60 frames 0.5 fs apart."""
    return as_trajectory(run_methanol(60, 0.5), 0.5)


def _arrays(true: Trajectory) -> dict[str, Any]:
    assert true.energies is not None
    assert true.forces is not None
    return {
        "E": true.energies[:, None] / KCAL_PER_MOL,
        "F": true.forces / KCAL_PER_MOL,
        "R": true.positions,
        "z": true.numbers.astype(np.uint8),
        "theory": np.array("unknown"),
        "type": np.array("d"),
    }


def _revised(true: Trajectory, places: np.ndarray) -> dict[str, Any]:
    assert true.energies is not None
    assert true.forces is not None
    return {
        "nuclear_charges": true.numbers,
        "coords": true.positions[places],
        "energies": true.energies[places] / KCAL_PER_MOL,
        "forces": true.forces[places] / KCAL_PER_MOL,
        "old_indices": places,
        "old_energies": true.energies[places] / KCAL_PER_MOL,
    }


def test_md17_is_half_a_femtosecond_apart_in_kcal_per_mol(tmp_path: Path, md17: Trajectory, bring: Import) -> None:
    path = tmp_path / "md17_methanol.npz"
    np.savez(path, **_arrays(md17))
    found = bring(path)
    np.testing.assert_allclose(found.times, md17.times[1:-1])
    np.testing.assert_allclose(found.positions, md17.positions[1:-1])
    np.testing.assert_allclose(found.energies, md17.energies[1:-1], rtol=1e-9)  # type: ignore[index, arg-type]
    np.testing.assert_allclose(found.forces, md17.forces[1:-1], atol=1e-5)  # type: ignore[index, arg-type]
    np.testing.assert_allclose(found.velocities, md17.velocities[1:-1], atol=2e-3)  # type: ignore[index, arg-type]
    assert found.provenance["velocities"] == "central differences"
    assert found.provenance["level_of_theory"] == "PBE+vdW-TS"
    assert 0.0 < found.provenance["velocities_kinetic_loss"] < 0.03
    assert found.provenance["mean_temperature"] > 50.0


def test_md22_is_one_femtosecond_apart_and_its_units_are_read(tmp_path: Path, md17: Trajectory, bring: Import) -> None:
    path = tmp_path / "set.npz"
    every_fs = _arrays(md17.frames(0, 60, 2)) | {
        "name": np.array("MD22_methanol"),
        "r_unit": np.array("Ang"),
        "e_unit": np.array("kcal/mol"),
    }
    np.savez(path, **every_fs)
    found = bring(path, velocities="none")
    np.testing.assert_allclose(found.times, np.arange(30.0))
    assert found.velocities is None
    assert found.provenance["velocities"] == "none"
    with pytest.raises(ForcefreeError, match=r"states that its energy unit is kcal/mol, not eV"):
        bring(path, units={"energy": "eV"})


def test_which_of_the_two_must_be_known(tmp_path: Path, md17: Trajectory, bring: Import) -> None:
    path = tmp_path / "methanol.npz"
    np.savez(path, **_arrays(md17))
    with pytest.raises(ForcefreeError, match=r"say --format md17 .* or --format md22"):
        bring(path)
    assert bring(path, format="md17").spacing == pytest.approx(0.5)
    with pytest.raises(ForcefreeError, match=r"frames 0\.5 fs apart, but --timestep says 1 fs"):
        bring(path, format="md17", timestep=1.0)


def test_revised_md17_is_sorted_by_its_old_indices(tmp_path: Path, md17: Trajectory, bring: Import) -> None:
    path, places = tmp_path / "rmd17_methanol.npz", np.random.default_rng(0).permutation(60)[:30]
    np.savez(path, **_revised(md17, places))
    found = bring(path, velocities="none")
    order = np.sort(places)
    np.testing.assert_allclose(found.times, 0.5 * order)
    for noun in ("positions", "energies", "forces"):
        np.testing.assert_allclose(getattr(found, noun), getattr(md17, noun)[order], atol=1e-5)


def test_revised_md17_gets_velocities_only_where_both_neighbours_exist(tmp_path: Path, md17: Trajectory, bring: Import) -> None:
    path, places = tmp_path / "rmd17_methanol.npz", np.array([40, 7, 9, 22, 8, 23, 50, 24, 52, 54])
    np.savez(path, **_revised(md17, places))
    found = bring(path)
    np.testing.assert_allclose(found.times, [4.0, 11.5])
    np.testing.assert_allclose(found.velocities, md17.velocities[[8, 23]], atol=2e-3)  # type: ignore[index, arg-type]


def test_revised_md17_without_neighbours_or_order_is_refused(tmp_path: Path, md17: Trajectory, bring: Import) -> None:
    path = tmp_path / "rmd17_methanol.npz"
    np.savez(path, **_revised(md17, np.array([1, 5, 9, 40])))
    with pytest.raises(ForcefreeError, match=r"no frame with both neighbours in time.*--velocities none"):
        bring(path)
    arrays = _revised(md17, np.array([3, 1, 2]))
    np.savez(path, **{key: value for key, value in arrays.items() if key != "old_indices"})
    with pytest.raises(ForcefreeError, match="has no 'old_indices'"):
        bring(path)
    np.savez(path, **_revised(md17, np.array([3, 1, 1])))
    with pytest.raises(ForcefreeError, match="repeats some of its old_indices"):
        bring(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"E": np.zeros(5)}, "array 'E' has 5 numbers for 60 frames"),
        ({"R": np.zeros((60, 6, 2))}, r"array 'R' has shape \(60, 6, 2\); frames x atoms x 3"),
        ({"z": np.array([0, 6, 1, 1, 1, 1])}, "atomic numbers between 1 and 118"),
        ({"F": np.zeros((60, 5, 3))}, "forces of shape"),
    ],
)
def test_misshapen_archives_are_one_sentence(
    tmp_path: Path, md17: Trajectory, bring: Import, change: dict[str, np.ndarray], sentence: str
) -> None:
    path = tmp_path / "md17_bad.npz"
    np.savez(path, **(_arrays(md17) | change))
    with pytest.raises(ForcefreeError, match=sentence):
        bring(path)


def test_pickles_and_truncated_archives_are_never_loaded(tmp_path: Path, md17: Trajectory, bring: Import) -> None:
    path = tmp_path / "md17_bad.npz"
    np.savez(path, **(_arrays(md17) | {"R": np.array([{"a": 1}], dtype=object)}))
    with pytest.raises(ForcefreeError, match="damaged or pickled"):
        bring(path)
    np.savez(path, **_arrays(md17))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ForcefreeError, match="not a complete npz archive"):
        bring(path)
