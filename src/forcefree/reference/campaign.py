"""All runs of a configuration in parallel processes, merged into one store when the last is done."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from forcefree.data.h5md import check_suffix, read_store, store_attributes, write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.checkpoint import frames_done
from forcefree.reference.claim import claimed, essence, same_data
from forcefree.reference.config import ReferenceConfig
from forcefree.reference.engines.choice import build_engine
from forcefree.reference.run import Run, all_runs, record
from forcefree.reference.starts import load_start
from forcefree.reference.thermostat import count_freedom
from forcefree.reference.workers import worker_pool

Progress = Callable[[int, int], None]
"""Called with the number of frames done and the number of frames in all."""


def make_reference(config: ReferenceConfig | Path | str | Mapping[str, Any], progress: Progress | None = None) -> Path:
    """Make the reference trajectories, continuing what an earlier, killed call left behind.

    The result depends on the configuration alone, not on the number of workers or on interruptions. A script that
    calls this needs the usual ``if __name__ == "__main__":``, because the workers import it.

    Args:
        config: What to make, or the path of the YAML file that says so, or its keys and values; ``output`` is the H5MD file that
            appears when all runs are done.
        progress: Told about finished frames, about once a second.

    Returns:
        The path of the store; at once where it is there already, made with the same configuration.

    Raises:
        ForcefreeError: If the configuration is wrong, the output is not named as an H5MD file, it or its unfinished runs belong to
            another configuration, the start cannot be used, another process is making the same file, or the reference fails.
    """
    config = ReferenceConfig.accept(config)
    if config.output.is_dir():
        raise ForcefreeError(f"output {config.output} is a folder; give the name of a file such as {config.output / 'reference.h5'}")
    check_suffix(config.output)
    parts = config.output.with_name(config.output.name + ".parts")
    if config.output.exists():
        if not same_data(config, store_attributes(config.output).get("config")):
            raise ForcefreeError(f"{config.output} exists already; choose another output or remove it first")
        shutil.rmtree(parts, ignore_errors=True)
        return config.output
    starts = [load_start(start, seed=config.seed) for start in config.start]
    for start in starts:
        count_freedom(start, config)
    for start in starts if config.calculator.native else starts[:1]:  # only programs that integrate themselves look at the structure
        build_engine(config, start)
    runs = all_runs(config)
    with claimed(parts, config):
        _run_all(runs, parts, progress)
        write_store(config.output, _collected(runs, parts), {"kind": "reference", "config": essence(config)})
    shutil.rmtree(parts)
    return config.output


def _run_all(runs: list[Run], parts: Path, progress: Progress | None) -> None:
    config = runs[0].config
    total = len(runs) * config.frames_per_run
    try:
        with worker_pool(min(config.workers, len(runs))) as pool:
            pending: set[Future[None]] = {pool.submit(_finish, run, _part(parts, run)) for run in runs}
            while pending:
                if progress is not None:
                    progress(sum(frames_done(_part(parts, run)) for run in runs), total)
                done, pending = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
    except BrokenProcessPool as error:
        raise ForcefreeError(
            f"a worker process died (out of memory, killed, or crashed inside calculator '{config.calculator.name}'); "
            "run the same command to continue, with fewer workers if memory was short"
        ) from error
    if progress is not None:
        progress(total, total)


def _part(parts: Path, run: Run) -> Path:
    return parts / f"{run.name}.h5"


def _finish(run: Run, part: Path) -> None:
    for _ in record(run, part):
        pass


def _collected(runs: list[Run], parts: Path) -> Iterator[Trajectory]:
    for run in runs:
        yield from read_store(_part(parts, run), [run.name])
