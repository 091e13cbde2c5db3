"""All runs of a configuration in parallel processes, merged into one store when the last is done."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from forcefree.data.h5md import read_store, write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.config import ReferenceConfig
from forcefree.reference.run import Run, all_runs, record

Progress = Callable[[int, int], None]
"""Called with the number of frames done and the number of frames in all."""

_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def make_reference(config: ReferenceConfig, progress: Progress | None = None) -> Path:
    """Make the reference trajectories, continuing what an earlier, killed call left behind.

    Args:
        config: What to make; ``config.output`` is the H5MD file that appears when all runs are done.
        progress: Told about finished frames, about once a second.

    Returns:
        The path of the store.

    Raises:
        ForcefreeError: If the output exists, belongs to another configuration, or the reference fails.
    """
    if config.output.exists():
        raise ForcefreeError(f"{config.output} exists already; choose another output or remove it first")
    parts = config.output.with_name(config.output.name + ".parts")
    _claim(parts, config)
    runs = all_runs(config)
    total = len(runs) * config.frames_per_run
    context = multiprocessing.get_context("spawn")
    saved = {key: os.environ.get(key) for key in _THREADS}
    os.environ.update(_THREADS)
    try:
        with ProcessPoolExecutor(min(config.workers, len(runs)), mp_context=context) as pool:
            pending: set[Future[int]] = {pool.submit(_finish, run, _part(parts, run)) for run in runs}
            try:
                while pending:
                    done, pending = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                    if progress is not None:
                        progress(sum(_progress_of(_part(parts, run)) for run in runs), total)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        for key, value in saved.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
    write_store(config.output, _collected(runs, parts), {"kind": "reference", "config": config.model_dump(mode="json")})
    shutil.rmtree(parts)
    return config.output


def _part(parts: Path, run: Run) -> Path:
    return parts / f"{run.name}.h5"


def _finish(run: Run, part: Path) -> int:
    import torch

    torch.set_num_threads(1)
    tally = part.with_suffix(".frames")
    frames = 0
    for frames in record(run, part):
        tally.write_text(str(frames))
    return frames


def _progress_of(part: Path) -> int:
    try:
        return int(part.with_suffix(".frames").read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _collected(runs: list[Run], parts: Path) -> Iterator[Trajectory]:
    for run in runs:
        yield from read_store(_part(parts, run), [run.name])


def _claim(parts: Path, config: ReferenceConfig) -> None:
    """Refuse to mix runs of two configurations; the number of workers may change between calls."""
    parts.mkdir(parents=True, exist_ok=True)
    wanted = config.model_copy(update={"workers": 1}).model_dump_json()
    stamp = parts / "config.json"
    if stamp.exists() and stamp.read_text() != wanted:
        raise ForcefreeError(f"{parts} holds runs of another configuration; remove it or choose another output")
    stamp.write_text(wanted)
