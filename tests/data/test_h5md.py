"""The store: what goes in comes out, MDAnalysis reads it, and kills, cuts and full disks cost no flushed frame."""

from __future__ import annotations

import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forcefree.data.h5md import StoreWriter, read_store, repair, store_attributes, trajectory_names, write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.units import KJ_PER_MOL

_NOUNS = ("numbers", "masses", "times", "positions", "velocities", "energies", "cell", "pbc")


def _trajectory(frames: int = 7, atoms: int = 3, name: str = "run_0000", *, periodic: bool = False, first: int = 0) -> Trajectory:
    rng = np.random.default_rng(frames + 10 * atoms)
    cell = np.array([[10.0, 0, 0], [1, 9, 0], [2, 1, 11]]) if periodic else np.zeros((3, 3))
    return Trajectory(
        name=name,
        numbers=np.arange(1, atoms + 1),
        masses=rng.uniform(1, 20, atoms),
        times=0.5 * (first + np.arange(frames)),
        positions=rng.normal(size=(frames, atoms, 3)),
        velocities=rng.normal(size=(frames, atoms, 3)),
        energies=rng.normal(size=frames),
        forces=rng.normal(size=(frames, atoms, 3)),
        cell=cell,
        pbc=np.full(3, periodic),
        provenance={"temperature": 300.0, "ensemble": "nve"},
    )


def _same(found: Trajectory, expected: Trajectory) -> None:
    for noun in _NOUNS:
        np.testing.assert_array_equal(getattr(found, noun), getattr(expected, noun), err_msg=noun)
    assert found.forces is not None
    assert expected.forces is not None
    np.testing.assert_allclose(found.forces, expected.forces, rtol=1e-6)
    assert found.provenance == expected.provenance


@given(frames=st.integers(1, 40), atoms=st.integers(1, 30), periodic=st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shape_comes_back_bit_for_bit(tmp_path: Path, frames: int, atoms: int, periodic: bool) -> None:
    path = tmp_path / "store.h5"
    path.unlink(missing_ok=True)
    whole = [_trajectory(frames, atoms, "a", periodic=periodic), _trajectory(frames + 1, atoms, "b", periodic=periodic)]
    write_store(path, whole, {"kind": "test"})
    assert trajectory_names(path) == ["a", "b"]
    assert store_attributes(path) == {"kind": "test"}
    for found, expected in zip(read_store(path), whole, strict=True):
        _same(found, expected)


def test_positions_alone_come_back_alone(tmp_path: Path) -> None:
    bare = replace(_trajectory(), velocities=None, energies=None, forces=None)
    write_store(tmp_path / "store.h5", [bare])
    found = next(read_store(tmp_path / "store.h5"))
    assert (found.velocities, found.energies, found.forces) == (None, None, None)
    np.testing.assert_array_equal(found.positions, bare.positions)


@pytest.mark.parametrize(("last", "kept"), [(1, 1), (3, 3), (9, 7)])
def test_the_last_frames_can_be_read_alone(tmp_path: Path, last: int, kept: int) -> None:
    whole = _trajectory()
    write_store(tmp_path / "store.h5", [whole])
    [found] = read_store(tmp_path / "store.h5", last=last)
    _same(found, whole.frames(7 - kept, 7))


@pytest.mark.parametrize("pbc", [(0, 0, 0), (1, 1, 1), (1, 1, 0)])
def test_mdanalysis_reads_positions_velocities_forces_times_and_cell(tmp_path: Path, pbc: tuple[int, int, int]) -> None:
    import MDAnalysis
    from MDAnalysis.lib.mdamath import triclinic_vectors

    stored = replace(_trajectory(periodic=True), pbc=np.array(pbc, dtype=bool))
    write_store(tmp_path / "store.h5", [stored])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe.empty(3)
        universe.load_new(str(tmp_path / "store.h5"), format="H5MD")
        assert len(universe.trajectory) == len(stored)
        for index, frame in enumerate(universe.trajectory):
            assert frame.time == pytest.approx(stored.times[index] / 1000.0)
            np.testing.assert_allclose(frame.positions, stored.positions[index], atol=1e-6)
            np.testing.assert_allclose(frame.velocities / 1000.0, stored.velocities[index], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(frame.forces * KJ_PER_MOL, stored.forces[index], rtol=1e-5, atol=1e-6)
            if any(pbc):
                np.testing.assert_allclose(triclinic_vectors(frame.dimensions), _upright(stored.cell), atol=1e-4)
            else:
                assert frame.dimensions is None


def _upright(cell: np.ndarray) -> np.ndarray:
    """The cell turned so that its first vector lies along x and its second in the xy plane, as MDAnalysis has it."""
    turned = np.linalg.cholesky(cell @ cell.T)
    return np.asarray(turned * np.sign(np.diag(turned)))


def test_a_store_of_the_first_layout_with_one_constant_cell_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    stored = _trajectory(periodic=True)
    write_store(path, [stored])
    with h5py.File(path, "r+", libver="latest") as file:
        del file["particles/run_0000/box/edges"], file["particles/run_0000/notes"]
        file["particles/run_0000/box/edges"] = stored.cell
    _same(next(read_store(path)), stored)


def test_appending_continues_and_truncation_cuts_everything(tmp_path: Path) -> None:
    path, whole = tmp_path / "store.h5", _trajectory(30, periodic=True)
    with StoreWriter(path) as writer:
        writer.declare(whole)
        writer.begin()
        writer.append(whole.frames(0, 20))
    with StoreWriter(path, resume=True) as writer:
        assert writer.length("run_0000") == 20
        writer.truncate("run_0000", 13)
        writer.append(whole.frames(13, 30))
    _same(next(read_store(path)), whole)


def test_notes_can_be_added_at_any_time_and_replace_what_was_known(tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    with StoreWriter(path) as writer:
        writer.declare(_trajectory())
        writer.begin()
        writer.append(_trajectory())
        writer.note("run_0000", stopped="too hot")
    with StoreWriter(path, resume=True) as writer:
        writer.note("run_0000", ensemble="nvt")
    assert next(read_store(path)).provenance == {"temperature": 300.0, "ensemble": "nvt", "stopped": "too hot"}


_KILLED = """
import sys
from pathlib import Path
import numpy as np
from forcefree.data.h5md import StoreWriter
from forcefree.data.trajectory import Trajectory

def piece(first, count, atoms=9):
    times = 0.5 * np.arange(first, first + count)
    flight = np.broadcast_to(times[:, None, None] + 1.0, (count, atoms, 3)).copy()
    return Trajectory("run", np.full(atoms, 8), np.full(atoms, 16.0), times, flight, flight, times, flight)

path = Path(sys.argv[1])
if path.exists():
    writer = StoreWriter(path, resume=True)
    done = writer.length("run")
    writer.truncate("run", done)
else:
    writer = StoreWriter(path)
    writer.declare(piece(0, 0))
    writer.begin()
    done = 0
while True:
    writer.append(piece(done, 17))
    done += 17
    if done % 2:
        writer.flush()
        print(done, flush=True)
"""


def test_sigkill_costs_no_flushed_frame_and_the_writer_continues_again_and_again(tmp_path: Path) -> None:
    script, path = tmp_path / "writer.py", tmp_path / "store.h5"
    script.write_text(_KILLED, encoding="utf-8")
    held = 0
    for reports in (3, 5, 2):
        process = subprocess.Popen([sys.executable, str(script), str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(reports):
            promised = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = next(read_store(path))
        assert len(found) >= promised > held
        np.testing.assert_array_equal(found.times, 0.5 * np.arange(len(found)))
        np.testing.assert_array_equal(found.positions, np.broadcast_to(found.times[:, None, None] + 1.0, found.positions.shape))
        held = promised
    repair(path)
    assert len(next(read_store(path))) >= held


def test_a_store_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    with StoreWriter(path) as writer:
        writer.declare(_trajectory())
        writer.begin()
        writer.append(_trajectory())
        writer.flush()
        code = f"from pathlib import Path; from forcefree.data.h5md import read_store; print(len(next(read_store(Path({str(path)!r})))))"
        seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(seen.stdout) == 7


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, 6_000_000))
sys.argv = ["writer", sys.argv[1]]
try:
    exec(Path(__file__).with_name("writer.py").read_text())
except OSError as error:
    print("refused", error.errno)
"""


def test_a_full_disk_is_noticed_before_anything_is_lost(tmp_path: Path) -> None:
    (tmp_path / "writer.py").write_text(_KILLED, encoding="utf-8")
    script, path = tmp_path / "full.py", tmp_path / "store.h5"
    script.write_text(_FULL_DISK, encoding="utf-8")
    ended = subprocess.run([sys.executable, str(script), str(path)], capture_output=True, text=True, timeout=60, check=False)
    *reports, verdict = ended.stdout.split("\n")[:-1]
    assert ended.returncode == 0, ended.stderr
    assert verdict.startswith("refused")
    assert len(next(read_store(path))) >= int(reports[-1])


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.02, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_one_sentence(tmp_path: Path, fraction: float) -> None:
    path = tmp_path / "store.h5"
    write_store(path, [_trajectory(200)])
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
    for action in (lambda: list(read_store(path)), lambda: trajectory_names(path), lambda: StoreWriter(path, resume=True)):
        with pytest.raises(ForcefreeError, match="truncated") as caught:
            action()
        assert "\n" not in str(caught.value)


def test_wrong_files_and_wrong_names_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    with pytest.raises(ForcefreeError, match="does not exist"):
        list(read_store(path))
    with pytest.raises(ForcefreeError, match="nothing to continue"):
        StoreWriter(path, resume=True)
    write_store(path, [_trajectory()])
    with pytest.raises(ForcefreeError, match=r"no trajectory 'nope'; it has run_0000"):
        list(read_store(path, ["nope"]))
    with pytest.raises(ForcefreeError, match="exists already"):
        StoreWriter(path)
    with StoreWriter(path, resume=True) as writer:
        with pytest.raises(ForcefreeError, match="holds 7 frames of run_0000 but the checkpoint expects 9"):
            writer.truncate("run_0000", 9)
        with pytest.raises(ForcefreeError, match="no trajectory 'nope'"):
            writer.length("nope")
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["weights"] = np.zeros(3)
    with pytest.raises(ForcefreeError, match="no 'particles' group"):
        trajectory_names(other)


def test_h5md_of_another_program_is_sent_to_the_importer(tmp_path: Path) -> None:
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        file["particles/all/position/value"] = np.zeros((2, 3, 3))
        file["particles/all/position/time"] = np.arange(2.0)
        file.create_group("particles/all/box").attrs["boundary"] = ["none"] * 3
    with pytest.raises(ForcefreeError, match="forcefree import"):
        list(read_store(path))


def test_a_store_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "store.h5"

    def failing() -> object:
        yield _trajectory()
        raise ForcefreeError("the second trajectory is bad")

    with pytest.raises(ForcefreeError, match="second"):
        write_store(path, failing())  # type: ignore[arg-type]
    assert not path.exists()


@pytest.mark.parametrize(
    "torn", ["particles/run_0000/velocity/value", "particles/run_0000/force/time", "observables/run_0000/potential_energy/value"]
)
def test_a_frame_that_is_not_there_in_every_quantity_is_not_there(tmp_path: Path, torn: str) -> None:
    """A kill between two datasets leaves one of them shorter."""
    path, whole = tmp_path / "store.h5", _trajectory(30, periodic=True)
    write_store(path, [whole])
    with h5py.File(path, "r+", libver="latest") as file:
        file[torn].resize(21, axis=0)
    _same(next(read_store(path)), whole.frames(0, 21))
    _same(next(read_store(path, last=4)), whole.frames(17, 21))
    with StoreWriter(path, resume=True) as writer:
        assert writer.length("run_0000") == 21
        writer.truncate("run_0000", 21)
        writer.append(whole.frames(21, 30))
    _same(next(read_store(path)), whole)


def test_notes_that_a_kill_cut_short_fall_back_on_what_was_declared(tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    with StoreWriter(path) as writer:
        writer.declare(_trajectory())
        writer.append(_trajectory())
        writer.note("run_0000", stopped="too hot")
    with h5py.File(path, "r+", libver="latest") as file:
        notes = file["particles/run_0000/notes"]
        notes.resize(len(notes) - 5, axis=0)
    assert next(read_store(path)).provenance == {"temperature": 300.0, "ensemble": "nve"}


def test_a_left_handed_slab_keeps_its_cell_and_its_open_direction(tmp_path: Path) -> None:
    cell = np.array([[0.0, 7.0, 0.0], [8.0, 1.0, 0.0], [0.0, 0.0, 30.0]])
    slab = replace(_trajectory(), cell=cell, pbc=np.array([True, True, False]))
    write_store(tmp_path / "store.h5", [slab])
    _same(next(read_store(tmp_path / "store.h5")), slab)
