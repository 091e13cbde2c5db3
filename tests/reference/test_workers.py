"""Worker processes and their threads, signals and death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from forcefree.reference.workers import worker_pool

ORPHAN = """
import os, time
from forcefree.reference.workers import worker_pool
if __name__ == "__main__":
    with worker_pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 60)
        time.sleep(60)
"""


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as status:
        return status.read().split()[2] != "Z"


def _gone(process: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while _alive(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not _alive(process)


def test_workers_have_one_thread_and_leave_ctrl_c_to_their_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with worker_pool(1) as pool:
        os.kill(pool.submit(os.getpid).result(), signal.SIGINT)
        assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_an_exception_stops_workers_that_are_busy() -> None:
    begin = time.monotonic()
    workers = []
    with pytest.raises(KeyError):
        _fail_beside_a_busy_worker(workers)
    assert time.monotonic() - begin < 30.0
    assert _gone(workers[0])


def _fail_beside_a_busy_worker(workers: list[int]) -> None:
    with worker_pool(1) as pool:
        workers.append(pool.submit(os.getpid).result())
        pool.submit(time.sleep, 60)
        raise KeyError


def test_an_orphan_does_not_go_on(tmp_path: pytest.TempPathFactory) -> None:
    script = f"{tmp_path}/orphan.py"
    with open(script, "w") as file:
        file.write(ORPHAN)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert _alive(worker)
        parent.kill()
        parent.wait()
        assert _gone(worker)
