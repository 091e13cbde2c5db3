"""Checkpoints: a run that was killed at any moment ends bit for bit like one that was not."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from forcefree.data.h5md import read_store
from forcefree.errors import ForcefreeError
from forcefree.models.energy_config import EnergyConfig
from forcefree.simulation import simulate
from forcefree.simulation.checkpoint import Identity, checkpoint_path, read_checkpoint
from forcefree.simulation.options import SimulationOptions
from forcefree.simulation.progress import Progress
from oracles import boxed, boxed_atoms, phantom, phantom_start

OPTIONS = {
    "temperature": 300.0, "duration": 1000.0, "replicas": 3, "guards": False, "propagator": "reversible", "interval": 10.0,
    "save_every": 5.0, "log_every": 50.0, "thermostat": "langevin", "thermostat_time": 100.0, "equilibration": 100.0,
}  # fmt: skip

AT_ONCE = {"equilibration": 0.0, "log_every": 10.0}

CHILD = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from oracles import phantom, phantom_start
from forcefree.simulation import simulate
import torch
torch.set_num_threads(1)
simulate(phantom(), phantom_start(), output=Path(sys.argv[1]), resume=True, checkpoint_every=0.05, **{options!r})
"""


class _Interrupted(Exception):  # noqa: N818 (stands for a kill)
    pass


def _run(output: Path, *, steps: int | None = None, resume: bool = False, **options: object) -> None:
    """Simulate; with ``steps``, fall over after that many progress reports, as a killed process does."""
    seen = 0

    def fall(report: Progress) -> None:
        nonlocal seen
        seen += 1
        if steps is not None and seen == steps:
            raise _Interrupted

    simulate(phantom(), phantom_start(), output=output, resume=resume, progress=fall, checkpoint_every=60.0, **OPTIONS | options)


def _assert_same(one: Path, other: Path) -> None:
    if one.suffix == ".h5":
        for mine, theirs in zip(read_store(one), read_store(other), strict=True):
            assert mine.name == theirs.name
            for noun in ("times", "positions", "velocities"):
                np.testing.assert_array_equal(getattr(mine, noun), getattr(theirs, noun))
    else:
        for path in one.parent.glob(f"{one.stem}-replica_*"):
            assert path.read_bytes() == (other.parent / path.name.replace(one.stem, other.stem)).read_bytes()
    assert one.with_suffix(".csv").read_bytes() == other.with_suffix(".csv").read_bytes()


@pytest.fixture
def always_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report progress after every step, so that a run can be stopped at a chosen one."""
    from forcefree.simulation.progress import Clock

    monkeypatch.setattr(Clock, "tick", lambda self, running: (True, self._count() % 7 == 0))
    monkeypatch.setattr(Clock, "_count", lambda self: setattr(self, "steps", self.steps + 1) or self.steps, raising=False)


@pytest.mark.usefixtures("always_tell")
@pytest.mark.parametrize("suffix", [".h5", ".extxyz"])
@pytest.mark.parametrize("thermostat", ["csvr", "csvr-elements", "langevin"])
@pytest.mark.parametrize(("rotation", "ensemble"), [(True, "nvt"), (False, "nvt"), (True, "nve")])
def test_a_run_stopped_at_any_step_goes_on_bit_for_bit(tmp_path: Path, suffix: str, thermostat: str, rotation: bool, ensemble: str) -> None:
    whole, parts = tmp_path / f"whole{suffix}", tmp_path / f"parts{suffix}"
    options = {"thermostat": thermostat, "rotation": rotation, "duration": 400.0, "ensemble": ensemble}
    _run(whole, **options)

    for steps in (3, 1, 9, 16, 5):
        with pytest.raises(_Interrupted):
            _run(parts, steps=steps, resume=True, **options)
    _run(parts, resume=True, **options)

    _assert_same(whole, parts)


def test_sigkill_at_any_moment_costs_nothing(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.h5", tmp_path / "killed.h5"
    _run(whole)
    folder = Path(__file__).parent.parent
    code = CHILD.format(paths=[str(folder), str(folder.parent / "src")], options=OPTIONS)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    kills, rng = 0, np.random.default_rng(0)

    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code, str(killed)], env=environment) as child:
            before = checkpoint_path(killed).stat().st_mtime_ns if checkpoint_path(killed).exists() else 0
            while child.poll() is None and (not checkpoint_path(killed).exists() or checkpoint_path(killed).stat().st_mtime_ns == before):
                time.sleep(0.002)
            time.sleep(float(rng.uniform(0.0, 0.1)))
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
                kills += 1
        list(read_store(killed)) if kills and killed.exists() and read_checkpoint(checkpoint_path(killed)).step > 20 else None

    assert kills >= 2
    _run(killed, resume=True)
    _assert_same(whole, killed)


def test_a_finished_run_is_extended_by_a_longer_duration(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.h5", tmp_path / "parts.h5"
    _run(whole, duration=600.0)

    _run(parts, duration=300.0)
    _run(parts, duration=300.0, resume=True)
    _run(parts, duration=600.0, resume=True)

    _assert_same(whole, parts)


def test_frames_and_rows_of_an_extended_run_stay_as_far_apart_as_they_began(tmp_path: Path) -> None:
    output = tmp_path / "t.h5"
    spacing = {"save_every": None, "log_every": None, "equilibration": 0.0}
    _run(output, duration=50.0, **spacing)
    _run(output, duration=200.0, resume=True, **spacing)

    np.testing.assert_array_equal(next(iter(read_store(output))).times, [0.0, 50.0, 100.0, 150.0, 200.0])
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 1 + 3 * 5


@pytest.mark.usefixtures("always_tell")
def test_a_stopped_replica_stays_stopped(tmp_path: Path) -> None:
    model = boxed(guards={"closest": {}, "longest_bond": {"6-6": 1.3}}, temperatures=[1e4])
    outputs = [tmp_path / "whole.h5", tmp_path / "parts.h5"]
    options = {
        "temperature": 600.0,
        "duration": 400.0,
        "replicas": 6,
        "propagator": "direct",
        "interval": 10.0,
        "save_every": 10.0,
        "thermostat_time": 50.0,
    }

    whole = simulate(model, boxed_atoms(), output=outputs[0], **options)
    with pytest.raises(_Interrupted):
        simulate(model, boxed_atoms(), output=outputs[1], progress=_raise_at(30), checkpoint_every=0.0, **options)
    again = simulate(model, boxed_atoms(), output=outputs[1], resume=True, **options)

    assert 0 < len(whole.stopped) < 6
    assert again.stopped == whole.stopped
    _assert_same(*outputs)
    assert [t.provenance.get("stopped") for t in read_store(outputs[0])] == [t.provenance.get("stopped") for t in read_store(outputs[1])]


def _raise_at(step: int):
    def tell(report: Progress) -> None:
        if report.step >= step:
            raise _Interrupted

    return tell


def test_resume_begins_where_there_is_nothing_yet(tmp_path: Path) -> None:
    _run(tmp_path / "fresh.h5", resume=True, duration=100.0)

    assert [len(t) for t in read_store(tmp_path / "fresh.h5")] == [21, 21, 21]


def test_a_run_killed_while_its_files_were_made_begins_again(tmp_path: Path) -> None:
    whole, output = tmp_path / "whole.h5", tmp_path / "t.h5"
    _run(whole, duration=100.0)
    _run(output, duration=100.0)
    first = read_checkpoint(checkpoint_path(output))
    type(first)(first.identity, 0, first.grid, first.tensors, {}, {}, None).save(checkpoint_path(output))
    output.write_bytes(b"half a header")

    _run(output, duration=100.0, resume=True)

    _assert_same(whole, output)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"temperature": 310.0}, r"made with temperature 300.0, not 310.0; only the duration may change"),
        ({"seed": 3}, "made with seed 0, not 3"),
        ({"replicas": 4}, "made with replicas 3, not 4"),
        ({"propagator": "direct"}, "made with propagator reversible, not direct"),
    ],
)
def test_other_options_are_refused(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    _run(tmp_path / "t.h5", duration=50.0)

    with pytest.raises(ForcefreeError, match=sentence):
        _run(tmp_path / "t.h5", duration=50.0, resume=True, **change)


def test_another_model_or_start_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "t.h5"
    _run(output, duration=50.0)
    options = OPTIONS | {"duration": 50.0}
    other = phantom()
    other.hessian.mul_(1.0 + 1e-15)

    with pytest.raises(ForcefreeError, match="was made with another model"):
        simulate(other, phantom_start(), output=output, resume=True, **options)
    with pytest.raises(ForcefreeError, match="was made from another start structure"):
        simulate(phantom(), phantom_start(seed=1), output=output, resume=True, **options)


def test_checkpoints_from_before_the_energy_head_are_of_the_same_run() -> None:
    model, start = phantom(), phantom_start()
    options = SimulationOptions.parse({"temperature": 300.0, "duration": 10.0}, "test")
    card = model.card.model_dump_json()
    now = Identity.of(model, start, options)
    assert '"energy":null,' in card
    assert list(model.state_dict()) == ["hessian"]
    early = card.replace('"energy":null,', "").encode() + b"hessian" + model.state_dict()["hessian"].numpy().tobytes()
    assert now.model == hashlib.sha256(early).hexdigest()
    model.card = model.card.model_copy(update={"energy": EnergyConfig()})
    assert Identity.of(model, start, options).model != now.model

    options_then = {key: value for key, value in now.options.items() if key not in ("compile", "tolerance", "halvings")}
    now.refuse_other(Identity(now.model, now.start, options_then), Path("old"))
    with pytest.raises(ForcefreeError, match=r"made with tolerance 5\.0, not None"):
        now.refuse_other(Identity(now.model, now.start, options_then | {"tolerance": 5.0}), Path("old"))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "other"])
def test_a_damaged_checkpoint_is_refused_in_one_sentence_and_nothing_is_lost(tmp_path: Path, damage: str) -> None:
    output = tmp_path / "t.h5"
    _run(output, duration=50.0)
    path = checkpoint_path(output)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    path.write_bytes({"truncated": whole[:-100], "flipped": bytes(flipped), "empty": b"", "other": b"not a checkpoint"}[damage])

    with pytest.raises(ForcefreeError, match=r"checkpoint .*t.h5.checkpoint is damaged; remove it and the output, and start again"):
        _run(output, duration=50.0, resume=True)
    assert [len(t) for t in read_store(output)] == [11, 11, 11]


def test_a_missing_checkpoint_is_said(tmp_path: Path) -> None:
    output = tmp_path / "t.h5"
    _run(output, duration=50.0)
    checkpoint_path(output).unlink()

    with pytest.raises(ForcefreeError, match="there is no checkpoint"):
        _run(output, duration=50.0, resume=True)


@pytest.mark.parametrize("suffix", [".h5", ".extxyz"])
def test_a_trajectory_shorter_than_its_checkpoint_is_said(tmp_path: Path, suffix: str) -> None:
    output, short = tmp_path / f"t{suffix}", tmp_path / f"short{suffix}"
    _run(output, duration=100.0)
    _run(short, duration=50.0)
    for path in tmp_path.glob(f"short*{suffix}"):
        path.replace(tmp_path / path.name.replace("short", "t"))

    with pytest.raises(ForcefreeError, match="the checkpoint expects"):
        _run(output, duration=200.0, resume=True)


def test_a_checkpoint_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "t.h5"
    _run(output, duration=50.0)
    path = checkpoint_path(output)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("forcefree.simulation.checkpoint.save_file", full)
    with pytest.raises(ForcefreeError, match=r"No space left on device.*; make room and go on with --resume"):
        _run(output, duration=100.0, resume=True)
    assert path.read_bytes() == before


FULL_DISK = """
import resource, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from oracles import phantom, phantom_start
from forcefree.errors import ForcefreeError
from forcefree.simulation import simulate
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    simulate(phantom(), phantom_start(), output=Path(sys.argv[1]), checkpoint_every=0.02, **{options!r})
except ForcefreeError as error:
    print(error)
    sys.exit(2)
"""


@pytest.mark.parametrize(
    ("suffix", "limit", "options"),
    [(".h5", 7_000_000, {"save_every": 0.25}), (".extxyz", 40_000, {"duration": 400.0})],
)
def test_a_full_disk_ends_in_one_sentence_and_what_was_written_can_be_read(
    tmp_path: Path, suffix: str, limit: int, options: dict[str, float]
) -> None:
    output = tmp_path / f"t{suffix}"
    folder = Path(__file__).parent.parent
    code = FULL_DISK.format(paths=[str(folder), str(folder.parent / "src")], options=OPTIONS | options, limit=limit)

    done = subprocess.run([sys.executable, "-c", code, str(output)], capture_output=True, text=True, check=False)

    assert done.returncode == 2, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert "could not be written after" in done.stdout
    assert "go on with --resume" in done.stdout
    if suffix == ".h5":
        kept = list(read_store(output))
        assert kept
        assert np.isfinite(kept[0].positions).all()
    checkpoint = read_checkpoint(checkpoint_path(output))
    assert checkpoint.step > 10
    whole = tmp_path / f"whole{suffix}"
    _run(whole, **options)
    _run(output, resume=True, **options)
    _assert_same(whole, output)


def test_the_checkpoint_is_small_and_has_no_pickle(tmp_path: Path) -> None:
    _run(tmp_path / "t.h5", duration=50.0)

    content = checkpoint_path(tmp_path / "t.h5").read_bytes()
    assert len(content) < 10_000
    assert b"pickle" not in content
    assert torch.equal(read_checkpoint(checkpoint_path(tmp_path / "t.h5")).tensors["running"], torch.ones(3, dtype=torch.bool))


def test_a_checkpoint_of_a_later_forcefree_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "t.h5"
    with monkeypatch.context() as later:
        later.setattr("forcefree.simulation.checkpoint.FORMAT", 2)
        _run(output, duration=20.0, **AT_ONCE)
    before = checkpoint_path(output).read_bytes()

    with pytest.raises(ForcefreeError, match=r"t\.h5\.checkpoint has format 2, this forcefree reads up to 1; update forcefree"):
        _run(output, duration=40.0, resume=True, **AT_ONCE)
    assert checkpoint_path(output).read_bytes() == before


def test_a_shorter_duration_takes_nothing_away_and_a_longer_one_goes_on(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.h5", tmp_path / "parts.h5"
    _run(whole, duration=60.0, **AT_ONCE)
    _run(parts, duration=40.0, **AT_ONCE)
    heard: list[Progress] = []

    result = simulate(
        phantom(), phantom_start(), output=parts, resume=True, progress=heard.append, **OPTIONS | AT_ONCE | {"duration": 20.0}
    )

    assert [len(t) for t in result.trajectories()] == [9, 9, 9]
    assert (result.time, result.ns_per_day, heard[-1].eta) == (40.0, 0.0, 0.0)
    _run(parts, duration=60.0, resume=True, **AT_ONCE)
    _assert_same(whole, parts)


@pytest.mark.parametrize("name", ["parts.csv", "parts.h5"])
def test_a_file_that_was_taken_away_is_missed_and_a_run_goes_on_when_it_is_back(tmp_path: Path, name: str) -> None:
    whole, parts = tmp_path / "whole.h5", tmp_path / "parts.h5"
    _run(whole, duration=40.0, **AT_ONCE)
    _run(parts, duration=20.0, **AT_ONCE)
    (tmp_path / name).rename(tmp_path / "elsewhere")

    with pytest.raises(ForcefreeError, match=name.replace(".", r"\.")):
        _run(parts, duration=40.0, resume=True, **AT_ONCE)
    assert not (tmp_path / name).exists()
    (tmp_path / "elsewhere").rename(tmp_path / name)
    _run(parts, duration=40.0, resume=True, **AT_ONCE)
    _assert_same(whole, parts)


def test_a_thermostat_that_never_acted_does_not_keep_a_run_from_going_on() -> None:
    """Earlier versions took one for ``nve`` and did nothing with it."""
    options = SimulationOptions.parse({"ensemble": "nve", "duration": 100.0, "velocities": "start"}, "here").model_dump(mode="json")
    begun = Identity("model", "start", options | {"thermostat": "langevin", "thermostat_time": 50.0})
    Identity("model", "start", options).refuse_other(begun, Path("run.h5"))
    acting = {"temperature": 300.0, "equilibration": 100.0}
    with pytest.raises(ForcefreeError, match="was made with thermostat langevin, not csvr"):
        Identity("model", "start", options | acting).refuse_other(replace(begun, options=begun.options | acting), Path("run.h5"))
