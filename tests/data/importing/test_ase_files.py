"""Extended XYZ and ASE .traj."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from methanol import Import, assert_same


def _with_results(images: list[Atoms], *, wrap: bool = True, times: bool = False) -> list[Atoms]:
    made = []
    for index, image in enumerate(images):
        copy = image.copy()
        if wrap:
            copy.wrap()
        copy.info = {"time": 0.25 * index} if times else {}
        copy.calc = SinglePointCalculator(copy, energy=image.info["energy"], forces=image.info["forces"])
        made.append(copy)
    return made


@pytest.mark.parametrize("suffix", ["traj", "extxyz", "xyz"])
def test_wrapped_frames_come_back_unwrapped_with_everything(
    tmp_path: Path, images: list[Atoms], true: Trajectory, bring: Import, suffix: str
) -> None:
    path = tmp_path / f"run.{suffix}"
    write(path, _with_results(images), format="traj" if suffix == "traj" else "extxyz")
    found = bring(path, timestep=0.25)
    assert_same(found, true, tolerance=1e-9 if suffix == "traj" else 2e-7)
    assert found.name == "run"
    assert found.provenance["velocities"] == "recorded"
    assert found.provenance["source"] == path.name


def test_the_time_key_is_read_in_fs_and_checked(tmp_path: Path, images: list[Atoms], true: Trajectory, bring: Import) -> None:
    path = tmp_path / "run.extxyz"
    write(path, _with_results(images, times=True))
    np.testing.assert_allclose(bring(path).times, true.times)
    with pytest.raises(ForcefreeError, match=r"frames 0\.25 fs apart, but --timestep says 0\.5 fs"):
        bring(path, timestep=0.5)


def test_without_a_time_the_user_must_say_it(tmp_path: Path, images: list[Atoms], bring: Import) -> None:
    path = tmp_path / "run.traj"
    write(path, images)
    with pytest.raises(ForcefreeError, match="how far apart in time its frames are; give --timestep"):
        bring(path)


def test_a_column_of_velocities_needs_a_unit(tmp_path: Path, images: list[Atoms], true: Trajectory, bring: Import) -> None:
    path, frames = tmp_path / "run.extxyz", []
    for image in images:
        frame = Atoms(image.numbers, image.positions, cell=image.cell, pbc=True)
        frame.arrays["velocities"] = image.get_velocities() * units.fs * 1000.0
        frames.append(frame)
    write(path, frames, columns=["symbols", "positions", "velocities"])
    with pytest.raises(ForcefreeError, match="in which unit its velocity is; give --velocity-unit"):
        bring(path, timestep=0.25)
    found = bring(path, timestep=0.25, units={"velocity": "A/ps"})
    assert_same(found, true, forces=False, energies=False, tolerance=1e-6)
    with pytest.raises(ForcefreeError, match="give --velocity-unit A/ps"):
        bring(path, timestep=0.25, units={"velocity": "A/fs"})
    assert bring(path, timestep=0.25, velocities="derive").provenance["velocities"] == "central differences"


def test_masses_of_the_file_are_kept(tmp_path: Path, images: list[Atoms], bring: Import) -> None:
    heavy = [image.copy() for image in images]
    masses = np.where(heavy[0].numbers == 1, 2.014, heavy[0].get_masses())
    for image in heavy:
        velocities = image.get_velocities()
        image.set_masses(masses)
        image.set_velocities(velocities)
        image.info = {}
    write(tmp_path / "run.traj", heavy)
    np.testing.assert_allclose(bring(tmp_path / "run.traj", timestep=0.25).masses, masses)


@pytest.mark.parametrize("suffix", ["traj", "extxyz"])
def test_a_truncated_file_is_one_sentence(tmp_path: Path, images: list[Atoms], bring: Import, suffix: str) -> None:
    path = tmp_path / f"run.{suffix}"
    write(path, _with_results(images))
    path.write_bytes(path.read_bytes()[: int(0.71 * path.stat().st_size)])
    with pytest.raises(ForcefreeError, match=rf"run\.{suffix}") as caught:
        bring(path, timestep=0.25)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fraction", [0.06, 0.31, 0.507, 0.93, 0.999])
def test_extended_xyz_is_never_shortened_in_silence(tmp_path: Path, images: list[Atoms], bring: Import, fraction: float) -> None:
    path = tmp_path / "run.extxyz"
    write(path, _with_results(images))
    text = path.read_text()
    path.write_text(text[: int(fraction * len(text))])
    with pytest.raises(ForcefreeError, match=r"cut short|number of atoms"):
        bring(path, timestep=0.25)
    lines = text.splitlines()
    path.write_text("\n".join([*lines[:16], "", *lines[16:]]) + "\n\n")
    with pytest.raises(ForcefreeError, match="empty line after frame 1"):
        bring(path, timestep=0.25)
    path.write_text(text + "\n  \n")
    assert len(bring(path, timestep=0.25)) == 40


def test_changing_atoms_cells_and_contents_are_refused(tmp_path: Path, images: list[Atoms], bring: Import) -> None:
    path = tmp_path / "run.traj"

    def refuse(change: str, sentence: str) -> None:
        frames = _with_results(images[:4])
        if change == "atoms":
            frames[2].numbers[0] = 14
        elif change == "cell":
            frames[2].set_cell(frames[2].cell * 1.01)
        elif change == "pbc":
            frames[2].pbc = (True, True, False)
        else:
            frames[2].calc = None
        write(path, frames)
        with pytest.raises(ForcefreeError, match=sentence):
            bring(path, timestep=0.25)

    refuse("atoms", "other atoms in frame 2 than in frame 0")
    refuse("cell", r"a cell that changes .* constant volume")
    refuse("pbc", "changes its periodic directions in frame 2")
    refuse("results", "has forces in some frames but not in frame 2")


def test_not_a_number_is_found(tmp_path: Path, images: list[Atoms], bring: Import) -> None:
    frames = [image.copy() for image in images[:5]]
    frames[3].positions[1, 2] = np.nan
    for frame in frames:
        frame.info = {}
    write(tmp_path / "run.traj", frames)
    with pytest.raises(ForcefreeError, match=r"positions that are not finite numbers, first at 0\.75 fs"):
        bring(tmp_path / "run.traj", timestep=0.25)


def test_a_time_with_a_unit_is_one_sentence(tmp_path: Path, bring: Import) -> None:
    path = tmp_path / "run.extxyz"
    path.write_text("".join(f'1\nProperties=species:S:1:pos:R:3 time="{step} ps"\nAr 0 0 {step}\n' for step in range(3)))
    with pytest.raises(ForcefreeError, match=r"run\.extxyz has the time '0 ps' where a number of fs is needed"):
        bring(path)
