"""The code blocks of the documentation, run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((DOCS / page).read_text())


def _run(command: list[str], folder: Path) -> str:
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": tools, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def worked_through(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which the tutorial was followed from top to bottom, and what it printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    blocks = _blocks("tutorial.md")
    bash = [text for language, text in blocks if language == "bash"]
    python = [text for language, text in blocks if language == "python"]
    printed = "".join(_run(["bash", "-euo", "pipefail", "-c", text], folder) for text in bash)
    printed += _run([sys.executable, "-c", "\n".join(python)], folder)
    printed += _run([sys.executable, "-c", "\n".join(text for _, text in _blocks("formats.md"))], folder)
    return folder, printed


def test_every_step_leaves_what_it_promises(worked_through: tuple[Path, str]) -> None:
    folder, printed = worked_through
    for name in ("water.h5", "water-nvt.h5", "my-water.safetensors", "my-water.training", "traj.h5", "traj.csv", "report/report.html"):
        assert (folder / name).exists(), name
    assert "gfn2-xtb" in printed
    assert "run_0000 1.0 fs 300.0 K" in printed


def test_the_model_of_the_tutorial_learns_something_and_its_rollout_lives(worked_through: tuple[Path, str]) -> None:
    from forcefree.data.h5md import read_store
    from forcefree.models.files import read_card

    folder, _ = worked_through
    validation = read_card(folder / "my-water.safetensors").training["validation"]
    assert validation["val_one_step"] < 0.2
    lengths = [len(trajectory) for trajectory in read_store(folder / "traj.h5")]
    assert len(lengths) == 8
    assert sum(lengths) > 0.75 * 8 * 1001


def test_the_report_judges_and_stands_alone(worked_through: tuple[Path, str]) -> None:
    folder, _ = worked_through
    found = json.loads((folder / "report" / "report.json").read_text())
    assert {measure["group"] for measure in found["measures"]} >= {"ensemble", "energy", "vibration", "structure"}
    page = (folder / "report" / "report.html").read_text()
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']https?:", page)


def test_the_model_that_the_guide_adds_works(tmp_path: Path) -> None:
    _run([sys.executable, "-c", "\n".join(text for _, text in _blocks("adding-a-model.md"))], tmp_path)
