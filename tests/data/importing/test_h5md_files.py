"""H5MD: our own stores again, MDAnalysis' files, and hand-made ones with every freedom the standard leaves."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import h5py
import MDAnalysis
import numpy as np
import pytest

from forcefree.data.h5md import read_store, write_store
from forcefree.data.importing.conversion import import_trajectories
from forcefree.data.importing.source import ImportOptions
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.units import KJ_PER_MOL
from methanol import Import, assert_same


def test_a_store_of_ours_comes_back_with_its_provenance(tmp_path: Path, true: Trajectory) -> None:
    one = Trajectory(**{**vars(true), "name": "run_0000", "provenance": {"ensemble": "nve", "velocities": "central differences"}})
    two = Trajectory(**{**vars(true), "name": "run_0001"})
    write_store(tmp_path / "store.h5", [one, two])
    import_trajectories([tmp_path / "store.h5"], tmp_path / "again.h5", ImportOptions())
    first, second = read_store(tmp_path / "again.h5")
    for found, name in ((first, "run_0000"), (second, "run_0001")):
        assert found.name == name
        assert_same(found, true)
        np.testing.assert_array_equal(found.positions, true.positions)
    assert first.provenance["ensemble"] == "nve"
    assert first.provenance["velocities"] == "central differences"
    assert second.provenance["velocities"] == "recorded"


def _foreign(path: Path, true: Trajectory, **changes: Any) -> Path:
    """An H5MD file in nm, ps and kJ/mol, with image flags, a cuboid or triclinic box and a scalar time increment."""
    assert true.velocities is not None
    assert true.forces is not None
    images = np.floor(true.positions @ np.linalg.inv(true.cell)).astype(int)
    with h5py.File(path, "w") as file:
        group = file.create_group("particles/all")
        _element(group, "position", (true.positions - images @ true.cell) / 10.0, changes.get("length", "nm"))
        _element(group, "image", images, None)
        _element(group, "velocity", true.velocities * 100.0, changes.get("velocity", "nm ps-1"))
        _element(group, "force", true.forces / KJ_PER_MOL * 10.0, "kJ mol-1 nm-1")
        box = group.create_group("box")
        box.attrs["dimension"] = 3
        box.attrs["boundary"] = ["periodic"] * 3
        box["edges"] = true.cell / 10.0
        box["edges"].attrs["unit"] = "nm"
        if changes.get("species") is not None:
            group["species"] = changes["species"]
        if changes.get("mass", True):
            group["mass"] = true.masses
            group["mass"].attrs["unit"] = "u"
        energy = true.energies / KJ_PER_MOL  # type: ignore[operator]
        _element(file.create_group("observables"), "potential_energy", energy[:, None], "kJ mol-1")
    return path


def _element(parent: h5py.Group, name: str, values: np.ndarray, unit: str | None) -> None:
    group = parent.create_group(name)
    group["value"] = values
    group["step"] = 1
    group["time"] = 0.25e-3
    group["time"].attrs["unit"] = "ps"
    group["time"].attrs["offset"] = 0.0
    if unit is not None:
        group["value"].attrs["unit"] = unit


def test_a_foreign_file_with_units_images_and_scalar_times_is_read(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    found = bring(_foreign(tmp_path / "run.h5md", true, species=true.numbers))
    assert_same(found, true)
    np.testing.assert_allclose(found.positions, true.positions, atol=1e-9)
    assert found.name == "run"


def test_species_that_are_no_atomic_numbers_need_elements(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    kinds = np.array([5, 7, 2, 2, 2, 2])
    path = _foreign(tmp_path / "run.h5", true, species=kinds)
    with pytest.raises(ForcefreeError, match="give --elements, one per species or per atom"):
        bring(path)
    for elements in (("H", "C", "O"), ("C", "O", "H", "H", "H", "H")):
        np.testing.assert_array_equal(bring(path, elements=elements).numbers, true.numbers)
    with pytest.raises(ForcefreeError, match="has 3 species, but --elements names 2"):
        bring(path, elements=("C", "O"))
    with pytest.raises(ForcefreeError, match="give --elements"):
        bring(_foreign(tmp_path / "bare.h5", true, species=true.numbers, mass=False))


def test_units_that_are_not_written_must_be_said_and_written_ones_stay(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    path = _foreign(tmp_path / "run.h5", true, species=true.numbers, velocity=None)
    with pytest.raises(ForcefreeError, match="in which unit its velocity is; give --velocity-unit"):
        bring(path)
    assert_same(bring(path, units={"velocity": "nm/ps"}), true)
    with pytest.raises(ForcefreeError, match="states that its length unit is nm, not A"):
        bring(path, units={"velocity": "nm/ps", "length": "A"})
    with pytest.raises(ForcefreeError, match="'parsec' is not a unit of length"):
        bring(_foreign(tmp_path / "far.h5", true, species=true.numbers, length="parsec"))


def test_a_file_of_mdanalysis_is_read(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    write_store(tmp_path / "store.h5", [true])
    path = tmp_path / "theirs.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe.empty(6)
        universe.load_new(str(tmp_path / "store.h5"), format="H5MD")
        with MDAnalysis.Writer(str(path), 6, format="H5MD") as writer:
            for _ in universe.trajectory:
                writer.write(universe.atoms)
    found = bring(path, elements=("C", "O", "H", "H", "H", "H"))
    np.testing.assert_allclose(found.times, true.times, atol=1e-4)
    np.testing.assert_allclose(found.velocities, true.velocities, atol=1e-6)  # type: ignore[arg-type]
    np.testing.assert_allclose(np.diff(found.positions, axis=0), np.diff(true.positions, axis=0), atol=1e-5)


def test_a_cell_that_breathes_is_refused(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    path = _foreign(tmp_path / "run.h5", true, species=true.numbers)
    with h5py.File(path, "r+") as file:
        del file["particles/all/box/edges"]
        edges = file.create_group("particles/all/box/edges")
        edges["value"] = true.cell / 10.0 * np.linspace(1.0, 1.01, len(true))[:, None, None]
        edges["value"].attrs["unit"] = "nm"
    with pytest.raises(ForcefreeError, match="constant volume"):
        bring(path)


def test_energies_at_other_times_are_left_out_and_velocities_at_other_times_refused(
    tmp_path: Path, true: Trajectory, bring: Import
) -> None:
    path = _foreign(tmp_path / "run.h5", true, species=true.numbers)
    with h5py.File(path, "r+") as file:
        file["observables/potential_energy/time"][()] = 1e-3
    assert bring(path).energies is None
    with h5py.File(path, "r+") as file:
        file["particles/all/velocity/time"][()] = 1e-3
    with pytest.raises(ForcefreeError, match="records 'velocity' at other times"):
        bring(path)


def test_velocities_alone_and_other_dimensions_are_refused(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    path = _foreign(tmp_path / "run.h5", true, species=true.numbers)
    with h5py.File(path, "r+") as file:
        file["particles/all/box"].move("edges", "kept")
    with pytest.raises(ForcefreeError, match="its box is periodic but not how large it is; add box/edges"):
        bring(path)
    with h5py.File(path, "r+") as file:
        file["particles/all/box"].attrs["boundary"] = ["periodic"] * 2
    with pytest.raises(ForcefreeError, match="box of 2 dimensions"):
        bring(path)
    with h5py.File(path, "r+") as file:
        del file["particles/all/position"]
    with pytest.raises(ForcefreeError, match="no positions"):
        bring(path)


@pytest.mark.parametrize(("emptied", "sentence"), [("position", "holds no frames"), ("box", "has a box without edges")])
def test_a_file_without_frames_or_edges_makes_no_store(
    tmp_path: Path, true: Trajectory, bring: Import, emptied: str, sentence: str
) -> None:
    path = _foreign(tmp_path / "run.h5", true, species=true.numbers)
    with h5py.File(path, "r+") as file:
        place = "particles/all/position/value" if emptied == "position" else "particles/all/box/edges"
        kept = np.asarray(file[place])
        del file[place]
        if emptied == "box":
            place += "/value"
        file.create_dataset(place, data=np.zeros((0, *kept.shape[-2:]))).attrs["unit"] = "nm"
    with pytest.raises(ForcefreeError, match=rf"run\.h5 {sentence}; it may be"):
        bring(path)
    assert [child.name for child in tmp_path.iterdir()] == ["run.h5"]
