"""The command line as a whole: help, speed, and one sentence for every failure that a user can mend."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from forcefree.cli.failures import SentenceGroup, sentence_for
from forcefree.cli.main import app
from forcefree.errors import ForcefreeError

COMMANDS = ["reference", "import", "train", "simulate", "analyze", "models", "models list", "models show"]
PROGRAM = "from forcefree.cli.main import run; run()"
LIMIT = 2**22 + 400_000
"""Bytes that a file may have in the test of a full disk; 4 MiB are asked for ahead."""

HDF5_FULL = (
    "[Errno 28] Can't synchronously write data (file write failed: time = Sat Nov 21 2026, filename = 'traj.h5', file descriptor = 5, "
    "errno = 28, error message = 'No space left on device', buf = 0x1)"
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "forcefree " + command.split()[0] in result.output or command == "models"
    assert "Usage:" in result.output


def test_the_root_lists_every_command_and_the_main_job() -> None:
    result = CliRunner().invoke(app, ["--help"])
    for command in ("reference", "import", "train", "simulate", "analyze", "models"):
        assert f"  {command} " in result.output
    assert "forcefree analyze traj.h5 --against" in result.output


def test_help_imports_nothing_heavy() -> None:
    heavy = "'torch', 'numpy', 'h5py', 'ase', 'matplotlib', 'MDAnalysis', 'lightning', 'scipy', 'pydantic'"
    code = f"import sys; import forcefree.cli.main; print(*[m for m in ({heavy}) if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "\n"


def test_the_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.output.strip() == "forcefree 0.1.0"


def _failing(error: BaseException, **parameters: object) -> typer.Typer:
    failing = typer.Typer(cls=SentenceGroup, pretty_exceptions_enable=False)

    def fail() -> None:
        raise error

    def resumable(resume: bool = False) -> None:
        raise error

    failing.command("fail")(fail)
    failing.command("resumable")(resumable)
    return failing


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ForcefreeError("the cell is\n too small"), "forcefree: the cell is too small"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x.h5"), "forcefree: the disk is full (/data/x.h5); what was written"),
        (OSError(HDF5_FULL), "forcefree: the disk is full (traj.h5); what was written"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), "forcefree: no permission to write or read there (/root/x)"),
        (OSError(errno.EROFS, "Read-only file system"), "forcefree: no permission to write or read there; choose another folder"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "demo"), "forcefree: is a directory (demo); check the path"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", b"a/b"), "forcefree: not a directory (a/b); check the path"),
        (MemoryError(), "forcefree: out of memory; use fewer replicas"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "forcefree: out of memory; use fewer replicas"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence_and_code_2(error: Exception, sentence: str) -> None:
    result = CliRunner().invoke(_failing(error), ["fail"])
    assert result.exit_code == 2
    assert result.stderr.startswith(sentence)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(("command", "words"), [("fail", "the same command to"), ("resumable", "the same command with --resume to")])
def test_ctrl_c_says_how_to_go_on_and_ends_with_130(command: str, words: str) -> None:
    result = CliRunner().invoke(_failing(KeyboardInterrupt()), [command])
    assert result.exit_code == 130
    assert result.stderr.strip() == f"forcefree: stopped; run {words} continue"


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    assert sentence_for(KeyError("x")) is None
    result = CliRunner().invoke(_failing(KeyError("x")), ["fail"])
    assert isinstance(result.exception, KeyError)


def _start(arguments: list[str], folder: Path, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    def in_the_foreground() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell that runs the tests in the background has it ignored
        if before is not None:
            before()

    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=in_the_foreground,
    )


@pytest.fixture
def long_job(tmp_path: Path) -> Path:
    """A folder with a configuration that takes minutes."""
    (tmp_path / "reference.yaml").write_text(
        "calculator: {name: 'springs:Springs'}\nstart: {name: methane}\ntemperatures: [300]\nminimize: false\n"
        "equilibration: {duration: 10 fs}\nrecording: {duration: 100 ps}\nruns_per_temperature: 1\noutput: out.h5\n"
    )
    return tmp_path


def test_ctrl_c_in_the_terminal_stops_all_processes_without_a_traceback(long_job: Path) -> None:
    process = _start(["reference", "reference.yaml"], long_job)
    deadline = time.monotonic() + 120.0
    while not list(long_job.glob("out.h5.parts/*.frames")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "forcefree: stopped; run the same command to continue" in errors
    assert "Traceback" not in errors


def test_a_full_disk_ends_in_a_sentence_and_leaves_what_was_written(long_job: Path) -> None:
    from forcefree.data.h5md import read_store

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))

    process = _start(["reference", "reference.yaml"], long_job, limit)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2, errors
    assert "forcefree: the disk is full" in errors
    assert "Traceback" not in errors
    kept = next(read_store(long_job / "out.h5.parts" / "run_0000.h5"))
    assert len(kept) >= 250
    assert len(kept) % 250 == 0
