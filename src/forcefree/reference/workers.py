"""Worker processes that die when they should: with their parent, at an error elsewhere, never by Ctrl-C half-way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection

_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes with one BLAS thread each, which stop at once when the block is left by an exception.

    Every worker listens at a pipe whose other end only the parent holds: when the parent closes it, or dies, they end.
    A pipe, unlike a shared event, cannot be left locked by a worker that was killed.

    Args:
        workers: How many processes.

    Yields:
        An executor; everything submitted must be picklable.
    """
    context = multiprocessing.get_context("spawn")
    listening, held = context.Pipe(duplex=False)
    saved = {key: os.environ.get(key) for key in _THREADS}
    os.environ.update(_THREADS)
    try:
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare, initargs=(listening,)) as pool:
            try:
                yield pool
            except BaseException:
                held.close()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        held.close()
        listening.close()
        for key, value in saved.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})


def _prepare(listening: Connection) -> None:
    """Runs first in every worker: Ctrl-C is the parent's to handle, and an orphan must not go on writing."""
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(listening,), daemon=True).start()


def _watch(listening: Connection) -> None:
    listening.poll(None)
    os._exit(1)
