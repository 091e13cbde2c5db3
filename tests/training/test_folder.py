"""A training's own folder: damaged checkpoints, interrupted writes and a full disk end in a sentence and lose nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forcefree.cli.main import app
from forcefree.data.h5md import write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.files import load
from forcefree.training.config import TrainingConfig
from forcefree.training.folder import TrainingFolder, data_hash
from forcefree.training.run import train

CONFIG = """
data: {files: [data.h5], validation_fraction: 0.2}
model: {name: tiny, t_max: 5 fs, cutoff: 4.0, options: {channels: 4, layers: 1, refinements: 0, filter_width: 4}}
optimizer: {steps: 6, warmup: 1, batch: 4, ema: 0.5}
validation: {every: 2, windows: 8, rollouts: 2, segments: 1}
output: m.safetensors
"""
Refused = Callable[..., str]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trajectories: list[Trajectory]) -> TrainingConfig:
    """A finished training whose model file is gone, so that it can be resumed."""
    monkeypatch.chdir(tmp_path)
    write_store(Path("data.h5"), trajectories)
    Path("train.yaml").write_text(CONFIG)
    config = TrainingConfig.read(Path("train.yaml"))
    train(config, progress=False).unlink()
    return config


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """Resume through the command line, which must fail in one sentence and change no file."""

    def resume() -> str:
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        result = CliRunner().invoke(app, ["train", "train.yaml", "--resume", "--no-progress"])
        assert result.exit_code == 2, (result.output, result.exception)
        assert result.stderr.count("\n") == 1
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        return result.stderr

    return resume


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def hole(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(value ^ 255 for value in content[middle : middle + 64]) + content[middle + 64 :]


DAMAGES = [half, hole, lambda _: b"", lambda _: b"not a checkpoint" * 40]


@pytest.mark.parametrize("damage", DAMAGES, ids=["half", "hole", "empty", "text"])
@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_a_damaged_checkpoint_is_refused(config: TrainingConfig, refused: Refused, name: str, damage: Callable[[bytes], bytes]) -> None:
    path = config.folder / name
    path.write_bytes(damage(path.read_bytes()))
    assert f"checkpoint m.training/{name} is damaged; restore it, or remove" in refused()


def test_without_the_best_checkpoint_the_last_weights_are_taken(config: TrainingConfig) -> None:
    (config.folder / "best.ckpt").unlink()
    made = load(train(config, resume=True, progress=False)).card.training
    assert made["chosen_step"] == made["steps"] == 6


@pytest.mark.parametrize(("name", "says"), [("last.ckpt", "there is no checkpoint"), ("config.json", "differs from this configuration")])
def test_what_is_missing_is_said(config: TrainingConfig, refused: Refused, name: str, says: str) -> None:
    (config.folder / name).unlink()
    assert f"m.training/{name}" in (sentence := refused())
    assert says in sentence


def test_a_folder_of_before_hashes_were_kept_can_be_resumed(config: TrainingConfig) -> None:
    (config.folder / "data.sha256").unlink()
    assert train(config, resume=True, progress=False).is_file()


def test_a_checkpoint_is_replaced_only_when_the_new_one_is_whole(config: TrainingConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that breaks off leaves the checkpoint before it."""
    longer = config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"steps": 8})})
    folder = TrainingFolder(longer, data_hash(longer.data.files))
    before = folder.last.read_bytes()
    folder._stamp.write_text(folder._wanted)

    class Broken:
        def __init__(self, *_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("fsspec.implementations.local.LocalFileOpener", Broken)
        with pytest.raises(OSError, match="No space left"):
            train(longer, resume=True, progress=False)
    assert folder.last.read_bytes() == before
    assert not longer.output.exists()
    assert load(train(longer, resume=True, progress=False)).card.training["steps"] == 8


@pytest.mark.slow
def test_a_full_disk_ends_in_a_sentence_and_the_training_can_begin_again(config: TrainingConfig, tmp_path: Path) -> None:
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from forcefree.cli.main import run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); run()"
    )
    (tmp_path / "train.yaml").write_text(CONFIG.replace("m.safetensors", "n.safetensors"))
    command = [sys.executable, "-c", code, "train", "train.yaml", "--no-progress"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "forcefree: the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "n.safetensors").exists()
    assert train(TrainingConfig.read(tmp_path / "train.yaml"), progress=False).is_file()


def test_the_hash_is_that_of_all_files_in_order(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"a" * 3_000_000)
    two.write_bytes(b"b")
    assert data_hash([one, two]) != data_hash([two, one])
    (tmp_path / "both").write_bytes(b"a" * 3_000_000 + b"b")
    assert data_hash([one, two]) == data_hash([tmp_path / "both"])
    with pytest.raises(ForcefreeError, match=r"gone\.h5 does not exist; give the path"):
        data_hash([tmp_path / "gone.h5"])
