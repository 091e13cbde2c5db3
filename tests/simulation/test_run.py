"""Whose output it is: one process writes it at a time, and what is not of this run is neither touched nor given up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from forcefree.data.h5md import read_store
from forcefree.errors import ForcefreeError
from forcefree.simulation import Progress, simulate
from forcefree.simulation.checkpoint import checkpoint_path, lock_path
from oracles import boxed, boxed_atoms

OPTIONS = {"temperature": 300.0, "guards": False, "propagator": "direct", "interval": 10.0, "save_every": 20.0}

CHILD = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from oracles import boxed, boxed_atoms
from forcefree.simulation import simulate
simulate(boxed(), boxed_atoms(), output=Path(sys.argv[1]), checkpoint_every=0.05, duration=1e9, **{options!r})
"""


def _run(output: Path, *, resume: bool = False, **options: object) -> None:
    simulate(boxed(), boxed_atoms(), output=output, resume=resume, **OPTIONS | {"duration": 200.0} | options)


@pytest.mark.parametrize("resume", [True, False])
def test_a_run_that_is_going_on_is_left_alone(tmp_path: Path, resume: bool) -> None:
    output = tmp_path / "t.h5"
    tried: list[str] = []

    def intrude(_: Progress) -> None:
        if not tried:
            with pytest.raises(ForcefreeError) as caught:
                _run(output, resume=resume)
            tried.append(str(caught.value))

    _run(output, progress=intrude)

    assert tried == [f"another process is writing {output}; wait for it or stop it"]
    assert not lock_path(output).exists()
    _run(output, resume=True, duration=400.0)
    np.testing.assert_array_equal(next(read_store(output)).times, 20.0 * np.arange(21))


def test_a_killed_process_no_longer_writes(tmp_path: Path) -> None:
    output = tmp_path / "t.h5"
    folder = Path(__file__).parent.parent
    code = CHILD.format(paths=[str(folder), str(folder.parent / "src")], options=OPTIONS)
    with subprocess.Popen([sys.executable, "-c", code, str(output)], env={**os.environ, "OMP_NUM_THREADS": "1"}) as child:
        while child.poll() is None and not output.exists():
            time.sleep(0.01)
        with pytest.raises(ForcefreeError, match=r"another process is writing .*t\.h5; wait for it or stop it"):
            _run(output, resume=True, duration=1e9)
        child.send_signal(signal.SIGKILL)

    assert lock_path(output).exists()
    _run(output, resume=True, duration=200.0)
    assert not lock_path(output).exists()


def test_a_log_of_another_output_is_not_a_run_to_go_on_with(tmp_path: Path) -> None:
    _run(tmp_path / "t.h5")
    for resume in (False, True):
        with pytest.raises(ForcefreeError) as caught:
            _run(tmp_path / "t.extxyz", resume=resume)
        log = tmp_path / "t.csv"
        assert str(caught.value) == f"{log} exists already as the log of {tmp_path / 't.h5'}; choose an output of another name"
    with pytest.raises(ForcefreeError, match=r"t\.h5 exists already; continue that run with --resume, or choose another output"):
        _run(tmp_path / "t.h5")


@pytest.mark.parametrize("name", ["t.xyz", "t.csv"])
def test_files_of_the_user_are_not_called_a_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")

    with pytest.raises(ForcefreeError) as caught:
        _run(tmp_path / "t.xyz")

    assert str(caught.value) == f"{tmp_path / name} exists already; choose another output"


def test_resuming_onto_a_file_of_the_user_does_not_advise_to_remove_it(tmp_path: Path) -> None:
    output = tmp_path / "t.xyz"
    output.write_text("precious")

    with pytest.raises(ForcefreeError) as caught:
        _run(output, resume=True)

    assert str(caught.value) == f"there is no checkpoint {checkpoint_path(output)}, so {output} is left as it is; choose another output"
    assert output.read_text() == "precious"
