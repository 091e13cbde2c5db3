"""Worker processes that die when they should: with their parent, at an error elsewhere, never by Ctrl-C half-way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Event

_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_POLL = 0.5


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes with one BLAS thread each, which stop within a second when the block is left by an exception.

    Args:
        workers: How many processes.

    Yields:
        An executor; everything submitted must be picklable.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    saved = {key: os.environ.get(key) for key in _THREADS}
    os.environ.update(_THREADS)
    try:
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare, initargs=(stop,)) as pool:
            try:
                yield pool
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        for key, value in saved.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})


def _prepare(stop: Event) -> None:
    """Runs first in every worker: Ctrl-C is the parent's to handle, and an orphan must not go on writing."""
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()


def _watch(stop: Event) -> None:
    parent = multiprocessing.parent_process()
    while not stop.wait(_POLL):
        if parent is not None and not parent.is_alive():
            break
    os._exit(1)
