"""Two processes train one model: they see different batches, agree on every decision, and one of them alone writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from forcefree.training.loader import CountingSampler

CONFIG = """
data: {{files: [{store}], validation_fraction: 0.2}}
model: {{name: tiny, t_max: 5 fs, cutoff: 4.0, options: {{channels: 8, layers: 1, refinements: 1, nodes: 2}}}}
optimizer: {{steps: 12, warmup: 2, batch: 7, learning_rate: 0.01, ema: 0.9}}
validation: {{every: 6, windows: 32, rollouts: 4, segments: 2}}
strategy: ddp
devices: 2
accelerator: cpu
output: m.safetensors
"""

COMMAND = """
import os
from pathlib import Path
from forcefree.cli.main import run
from forcefree.training.windows import WindowSource

draw, write = WindowSource.draw, Path.write_text

def drawn(self, batch, counter):
    if batch == 7:
        with open("drawn-" + os.environ.get("LOCAL_RANK", "0"), "a") as file:
            file.write(f"{counter}\\n")
    return draw(self, batch, counter)

def written(self, *arguments, **options):
    with open("written-" + os.environ.get("LOCAL_RANK", "0"), "a") as file:
        file.write(f"{self.name}\\n")
    return write(self, *arguments, **options)

WindowSource.draw, Path.write_text = drawn, written
run()
"""
"""The command line, with a diary of each process beside the configuration."""

Trains = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def train(store: Path, tmp_path: Path) -> Trains:
    (tmp_path / "train.yaml").write_text(CONFIG.format(store=store))
    (tmp_path / "forcefree-train").write_text(COMMAND)
    environment = {key: value for key, value in os.environ.items() if key not in ("LOCAL_RANK", "RANK", "WORLD_SIZE", "MASTER_PORT")}

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(tmp_path / "forcefree-train"), "train", "train.yaml", "--no-progress", *options]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)

    return run


@pytest.mark.slow
def test_two_processes_share_the_batches_and_one_writes(train: Trains, tmp_path: Path) -> None:
    result = train()
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("model: m.safetensors") == 1
    assert "sync_dist" not in result.stderr
    numbers = [[int(line) for line in (tmp_path / f"drawn-{rank}").read_text().split()] for rank in (0, 1)]
    assert numbers == [list(range(0, 24, 2)), list(range(1, 24, 2))]
    assert sorted((tmp_path / "written-0").read_text().split()) == [
        "config.json", "data.sha256", "training-report.html", "training-report.json",
    ]  # fmt: skip
    assert not (tmp_path / "written-1").exists()
    assert [path.name for path in (tmp_path / "m.training").glob("csv-*")] == ["csv-0"]

    history = json.loads((tmp_path / "m.training" / "training-report.json").read_text())["history"]
    assert [row["step"] for row in history] == [5.0, 11.0]
    (tmp_path / "m.safetensors").unlink()
    again = train("--resume")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "m.safetensors").is_file()
    refused = train("--resume")
    assert refused.returncode == 2
    assert refused.stderr.startswith("forcefree: m.safetensors is finished already")


@pytest.mark.parametrize("step", [0, 5])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_devices_share_every_number_once_whatever_step_an_epoch_begins_at(world: int, step: int) -> None:
    numbers = [number for rank in range(world) for number in CountingSampler(4, lambda: step, rank, world)]
    assert sorted(numbers) == list(range(step * world, (step + 4) * world))
