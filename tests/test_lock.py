"""Locks: one holder at a time, and nobody is held up by the dead."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import forcefree
from forcefree.errors import ForcefreeError
from forcefree.lock import locked

HOLDER = """
import sys
sys.path.insert(0, {source!r})
from pathlib import Path
from forcefree.lock import locked
with locked(Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    sys.stdin.read()
"""


def _hold(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its input ends."""
    code = HOLDER.format(source=str(Path(forcefree.__file__).parents[1]))
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_one_process_at_a_time_whose_lock_goes_with_it_however_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with _hold(path) as child:
        with pytest.raises(ForcefreeError, match="busy"), locked(path, "busy"):
            pass
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert path.exists()
    with locked(path, "busy"):
        pass
    assert not path.exists()


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "lock", "busy"):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_taken_away_while_it_was_opened_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last holder may take its file away between opening and locking."""
    import fcntl

    path, taken, flock = tmp_path / "lock", [], fcntl.flock

    def slow(file: object, how: int) -> None:
        if not taken:
            path.unlink()
        taken.append(file)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with locked(path, "busy"):
        assert len(taken) == 2
        with pytest.raises(ForcefreeError, match="busy"), locked(path, "busy"):
            pass


@pytest.mark.parametrize(("code", "works"), [(errno.ENOLCK, True), (errno.EIO, False)])
def test_a_file_system_without_locks_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, works: bool) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr("fcntl.flock", refuse)
    if works:
        with locked(tmp_path / "lock", "busy"):
            pass
    else:
        with pytest.raises(OSError, match="no"), locked(tmp_path / "lock", "busy"):
            pass
