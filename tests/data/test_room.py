"""Room on the disk is asked for before anything is written."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from forcefree.data.room import Room

_Usage = namedtuple("_Usage", "total used free")


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    Room(tmp_path / "traj.h5").take(10_000_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_a_quota_and_a_limit_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match=r"traj\.h5") as caught:
        Room(tmp_path / "traj.h5").take(1)
    assert caught.value.errno == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", [True, False])
def test_without_allocation_free_space_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: bool) -> None:
    def cannot(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    if missing:
        monkeypatch.delattr(os, "posix_fallocate")
    else:
        monkeypatch.setattr(os, "posix_fallocate", cannot)
    Room(tmp_path / "traj.h5").take(1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(100, 90, 10))
    with pytest.raises(OSError, match="No space left") as caught:
        Room(tmp_path / "traj.h5").take(1)
    assert caught.value.errno == errno.ENOSPC


def test_the_disk_is_asked_again_only_when_the_room_is_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(os, "posix_fallocate", lambda _fd, _offset, size: asked.append(size))
    path = tmp_path / "traj.h5"
    room = Room(path)
    for _ in range(100):
        room.take(1000)
    assert len(asked) == 1
    room.take(asked[0])
    assert len(asked) == 2
    path.write_bytes(b"x" * 2000)
    room.settle()
    room.take(1000)
    assert len(asked) == 2
