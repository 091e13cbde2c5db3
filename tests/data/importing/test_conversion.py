"""The whole way: several files, names, formats, blocks, failures that leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from forcefree.data.h5md import read_store, store_attributes, trajectory_names
from forcefree.data.importing import frames as frames_module
from forcefree.data.importing import h5md_files
from forcefree.data.importing.conversion import import_trajectories
from forcefree.data.importing.formats import READERS, find_format
from forcefree.data.importing.source import ImportOptions
from forcefree.data.importing.summary import summarize
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from methanol import Import, assert_same


@pytest.fixture
def traj(tmp_path: Path, images: list[Atoms]) -> Path:
    """The true trajectory as a wrapped ASE file."""
    path = tmp_path / "run.traj"
    wrapped = [image.copy() for image in images]
    for image in wrapped:
        image.wrap()
        image.info = {}
    write(path, wrapped)
    return path


@pytest.mark.parametrize("size", [1, 2, 3, 7, 39, 40])
def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, traj: Path, true: Trajectory, bring: Import, size: int) -> None:
    monkeypatch.setattr(frames_module, "block_length", lambda _: size)
    assert_same(bring(traj, timestep=0.25), true, forces=False, energies=False)
    derived = bring(traj, timestep=0.25, velocities="derive")
    np.testing.assert_allclose(derived.velocities, true.velocities[1:-1], atol=2e-3)  # type: ignore[index, arg-type]
    assert len(derived) == 38


def test_several_files_become_several_trajectories_with_free_names(tmp_path: Path, traj: Path) -> None:
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "run.traj"
    twin.write_bytes(traj.read_bytes())
    told: list[tuple[Path, int]] = []
    output = tmp_path / "deep" / "all.h5"
    import_trajectories([traj, twin], output, ImportOptions(timestep=0.25), lambda *report: told.append(report))
    assert trajectory_names(output) == ["run", "run_0001"]
    assert told == [(traj, 40), (twin, 40)]
    assert store_attributes(output)["sources"] == ["run.traj", "run.traj"]
    named = tmp_path / "named.h5"
    import_trajectories([traj, twin], named, ImportOptions(timestep=0.25, name="wet/ice"))
    assert trajectory_names(named) == ["wet_ice", "wet_ice_0001"]


def test_the_summary_is_what_is_on_the_disk(tmp_path: Path, traj: Path, true: Trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "all.h5"
    import_trajectories([traj], output, ImportOptions(timestep=0.25))
    monkeypatch.setattr(h5md_files, "block_length", lambda _: 9)
    (summary,) = summarize(output)
    assert (summary.name, summary.frames, summary.atoms, summary.formula) == ("run", 40, 6, "CH4O")
    assert summary.shortest == pytest.approx(0.25)
    assert summary.longest == pytest.approx(0.25)
    assert summary.velocities == "recorded"
    assert not summary.energies
    stored = next(read_store(output))
    assert summary.temperature == pytest.approx(stored.provenance["mean_temperature"])
    assert summary.cell is not None
    np.testing.assert_allclose(summary.cell[:3], np.linalg.norm(true.cell, axis=1), atol=1e-6)


def test_a_failure_leaves_no_file_behind(tmp_path: Path, traj: Path) -> None:
    bad = tmp_path / "bad.traj"
    bad.write_bytes(traj.read_bytes()[:-700])
    with pytest.raises(ForcefreeError, match=r"bad\.traj"):
        import_trajectories([traj, bad], tmp_path / "all.h5", ImportOptions(timestep=0.25))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.traj", "run.traj"]


def test_existing_output_and_empty_input_are_refused(tmp_path: Path, traj: Path) -> None:
    output = tmp_path / "all.h5"
    with pytest.raises(ForcefreeError, match="nothing to import"):
        import_trajectories([], output, ImportOptions())
    import_trajectories([traj], output, ImportOptions(timestep=0.25))
    with pytest.raises(ForcefreeError, match="exists already"):
        import_trajectories([traj], output, ImportOptions(timestep=0.25))


def test_an_ambiguous_jump_names_the_file(tmp_path: Path) -> None:
    frames = [Atoms("Ar2", [[0, 0, 0], [5.0 * step, 0, 5.0]], cell=[10, 10, 10], pbc=True) for step in (0.0, 0.97, 0.0)]
    write(tmp_path / "jump.traj", frames)
    with pytest.raises(ForcefreeError, match=r"jump\.traj: atom 1 moves 4\.85 Å or 5\.15 Å"):
        import_trajectories([tmp_path / "jump.traj"], tmp_path / "all.h5", ImportOptions(timestep=1.0))


@pytest.mark.parametrize(
    ("name", "start", "expected"),
    [
        ("a.xyz", b"3", "extxyz"),
        ("a.EXTXYZ", b"3", "extxyz"),
        ("a.xyz.gz", b"3", "extxyz"),
        ("a.traj", b"-", "traj"),
        ("a.h5", b"\x89", "h5md"),
        ("a.lammpstrj", b"I", "lammps"),
        ("a.lammpstrj.gz", b"\x1f", "lammps"),
        ("a.xtc", b"x", "xtc"),
        ("dump.production", b"ITEM: TIMESTEP\n0\n", "lammps"),
        ("data", b"\x89HDF\r\n\x1a\n0000", "h5md"),
        ("old", b"- of Ulm000", "traj"),
    ],
)
def test_formats_are_told_by_suffix_and_content(tmp_path: Path, name: str, start: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(start)
    assert find_format(tmp_path / name) == expected
    assert find_format(tmp_path / name, "trr") == "trr"
    assert expected in READERS


def test_what_cannot_be_told_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match="does not exist"):
        find_format(tmp_path / "none.xyz")
    (tmp_path / "empty.xyz").write_bytes(b"")
    with pytest.raises(ForcefreeError, match="is empty"):
        find_format(tmp_path / "empty.xyz")
    (tmp_path / "notes.txt").write_text("dear diary")
    with pytest.raises(ForcefreeError, match="unknown format; name it with --format, one of extxyz, traj"):
        find_format(tmp_path / "notes.txt")
    with pytest.raises(ForcefreeError, match="'vasp' is not a format; choose one of auto"):
        find_format(tmp_path / "notes.txt", "vasp")


def test_blocks_that_go_back_in_time_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a block times are seen to increase; between blocks, which a restarted run may repeat, as well."""
    monkeypatch.setattr(frames_module, "block_length", lambda _: 2)
    rows = "".join(f"1\nProperties=species:S:1:pos:R:3 time={time}\nAr 0 0 {time}\n" for time in (0, 1, 1, 2))
    (tmp_path / "run.extxyz").write_text(rows)
    with pytest.raises(ForcefreeError, match=r"run\.extxyz goes back in time at 1 fs; remove frames that are written twice"):
        import_trajectories([tmp_path / "run.extxyz"], tmp_path / "all.h5", ImportOptions(velocities="none"))
