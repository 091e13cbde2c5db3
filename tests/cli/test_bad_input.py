"""Bad input through the command line, as a user meets it: one sentence with the value and the cure, exit code 2, nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write
from typer.testing import CliRunner

from forcefree.cli.main import app
from forcefree.data.h5md import write_store
from forcefree.data.trajectory import Trajectory
from forcefree.models.card import Card
from forcefree.models.files import save_model
from forcefree.models.registry import build_model
from networks import molecular_dynamics

TRAIN = """
data: {files: [data.h5], validation_fraction: 0.2}
model: {name: tiny, t_max: 8 fs, cutoff: 4.0, options: {channels: 4, layers: 1, refinements: 0, filter_width: 4}}
optimizer: {steps: 2, warmup: 1, batch: 2}
validation: {every: 1, windows: 4, rollouts: 2, segments: 1}
output: new.safetensors
"""
REFERENCE = """
calculator: {name: 'springs:Springs'}
start: {file: start.xyz}
temperatures: [300]
recording: {duration: 20 fs}
output: new.h5
"""
COMMANDS = {
    "simulate": "simulate model.safetensors start.xyz --temperature 300 --duration 100fs -o new.h5",
    "reference": "reference reference.yaml",
    "train": "train train.yaml --no-progress",
    "import": "import frames.extxyz --timestep 2fs -o new.h5",
    "analyze": "analyze data.h5 --against base.h5 --calculator none -o new",
}


@pytest.fixture(scope="session")
def runs() -> list[Trajectory]:
    return molecular_dynamics(4, 60)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: list[Trajectory]) -> Path:
    """A folder in which every command would work."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    options = {"channels": 4, "layers": 1, "refinements": 0, "filter_width": 4}
    card = Card(name="tiny", model="trajcast", options=options, species=[1, 8], t_max=8.0, cutoff=4.0, temperatures=[300.0])
    save_model(build_model(card), Path("model.safetensors"))
    fixed = card.model_copy(update={"options": {**options, "head": "fixed"}, "fixed_times": [8.0]})
    save_model(build_model(fixed), Path("fixed.safetensors"))
    write("start.xyz", molecule("H2O"), format="extxyz")
    write_frames(runs[0])
    for name in ("data.h5", "base.h5"):
        write_store(Path(name), runs)
    Path("train.yaml").write_text(TRAIN)
    Path("reference.yaml").write_text(REFERENCE)
    return tmp_path


def write_frames(run: Trajectory, heat: float = 1.0) -> None:
    images = []
    assert run.velocities is not None
    for positions, velocities in zip(run.positions[:20], run.velocities[:20], strict=True):
        atoms = Atoms(run.numbers, positions=positions)
        atoms.set_velocities(heat * velocities / 0.09822694788464063)
        images.append(atoms)
    write("frames.extxyz", images)


def refused(folder: Path, command: str, *words: str) -> str:
    """Run a command that must fail as bad input does, and leave every file as it was; returns its sentence."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 2, (command, result.output, result.exception)
    assert result.stderr.startswith("forcefree: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr, (word, result.stderr)
    assert {path: path.read_bytes() for path in before} == before
    for new in ("new.h5", "new.safetensors", "new.training", "new/report.html"):
        assert not (folder / new).exists(), new
    return result.stderr


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        ("simulate", "model.safetensors", "bundled models are"),
        ("simulate", "start.xyz", "start structure start.xyz does not exist"),
        ("reference", "reference.yaml", "configuration file reference.yaml does not exist"),
        ("reference", "start.xyz", "start structure start.xyz does not exist"),
        ("train", "train.yaml", "configuration file train.yaml does not exist"),
        ("train", "data.h5", "data.h5 does not exist; give the path of an H5MD trajectory"),
        ("import", "frames.extxyz", "frames.extxyz does not exist"),
        ("analyze", "data.h5", "data.h5 does not exist; give the path of an H5MD trajectory"),
        ("analyze", "base.h5", "reference base.h5 does not exist; bundled references are"),
    ],
)
def test_a_missing_file(folder: Path, kind: str, name: str, says: str) -> None:
    (folder / name).unlink()
    refused(folder, COMMANDS[kind], says)


@pytest.mark.parametrize("keep", [0.0, 0.55])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("simulate", "model.safetensors"),
        ("simulate", "start.xyz"),
        ("reference", "start.xyz"),
        ("train", "data.h5"),
        ("import", "frames.extxyz"),
        ("analyze", "data.h5"),
        ("analyze", "base.h5"),
    ],
)
def test_a_truncated_file(folder: Path, kind: str, name: str, keep: float) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(keep * len(whole)) + 1])
    refused(folder, COMMANDS[kind], name)


STRUCTURES: dict[str, tuple[Callable[[], Atoms], str]] = {
    "overlap": (lambda: Atoms("OHH", positions=[[0, 0, 0], [0, 0, 0.05], [0, 0.96, 0]]), "atoms 0 and 1 only 0.050 Å apart"),
    "nm": (
        lambda: Atoms("OHH", positions=0.1 * molecule("H2O").positions),
        "Å apart; no two atoms come closer than 0.4 Å, check the units",
    ),
    "nan": (lambda: Atoms("OHH", positions=[[0, 0, 0], [0, np.nan, 1], [0, 1, 0]]), "not a finite number (atom 1); mend the file"),
    "no atoms": (Atoms, "start.xyz has zero atoms; at least one atom is needed"),
    "no cell": (lambda: Atoms("OHH", positions=molecule("H2O").positions, pbc=True), "does not span the periodic directions"),
}


@pytest.mark.parametrize("kind", ["simulate", "reference"])
@pytest.mark.parametrize("case", list(STRUCTURES))
def test_a_start_that_is_no_structure(folder: Path, kind: str, case: str) -> None:
    make, says = STRUCTURES[case]
    write(folder / "start.xyz", make(), format="extxyz")
    refused(folder, COMMANDS[kind], says)


@pytest.mark.parametrize("kind", ["simulate", "reference", "import"])
def test_an_element_that_is_none(folder: Path, kind: str) -> None:
    name = "frames.extxyz" if kind == "import" else "start.xyz"
    (folder / name).write_text((folder / name).read_text().replace("\nO ", "\nQq "))
    refused(folder, COMMANDS[kind], name, "'Qq' is no chemical element")


def test_elements_that_the_model_never_saw(folder: Path, runs: list[Trajectory]) -> None:
    write(folder / "start.xyz", molecule("NH3"), format="extxyz")
    refused(folder, COMMANDS["simulate"], "model tiny knows the elements H, O, not N; train or choose a model that has it")
    fluorine = [replace(run, numbers=np.array([8, 8, 1, 9])) for run in runs]
    write_store(folder / "data.h5", fluorine)
    (folder / "train.yaml").write_text(TRAIN + "initial: model.safetensors\n")
    refused(folder, COMMANDS["train"], "has mass 1.008 amu, but model tiny was trained with the standard mass 18.9984 amu; isotopes need")
    refused(folder, COMMANDS["analyze"], "data.h5 holds HFO2 but base.h5 holds H2O2; a reference of the same system is needed")


def test_positions_in_the_data_that_are_no_numbers_or_overlap(folder: Path, runs: list[Trajectory]) -> None:
    strange = [replace(run, positions=run.positions.copy()) for run in runs]
    strange[2].positions[9, 1] = np.nan
    write_store(folder / "data.h5", strange)
    write_frames(strange[2])
    refused(folder, COMMANDS["train"], "'run_0002' has a position that is not a finite number (frame 9, atom 1); cut the run")
    refused(folder, COMMANDS["analyze"], "run_0002 that is not a finite number; cut the run before it")
    refused(folder, COMMANDS["import"], "not finite numbers, first at 18 fs; cut the file before")
    strange[2].positions[9, 1] = strange[2].positions[9, 0] + [0.0, 0.25, 0.0]
    write_store(folder / "data.h5", strange)
    write_frames(strange[2])
    refused(folder, COMMANDS["train"], "'run_0002' has O0 and O1 only 0.250 Å apart at 18 fs", "check the units")
    refused(folder, COMMANDS["import"], "has O0 and O1 only 0.250 Å apart at 18 fs")


def test_velocities_of_a_hundred_thousand_kelvin(folder: Path, runs: list[Trajectory]) -> None:
    write_store(folder / "data.h5", [replace(run, velocities=100.0 * run.velocities) for run in runs if run.velocities is not None])
    write_frames(runs[0], heat=200.0)
    atoms = molecule("H2O")
    atoms.set_velocities(np.random.default_rng(0).normal(size=(3, 3)) * 3.0)
    write(folder / "start.xyz", atoms, format="extxyz")
    refused(
        folder, COMMANDS["train"], "e+06 K, beyond 3000 K; they are probably in another unit than Å/fs, convert them with forcefree import"
    )
    refused(folder, COMMANDS["analyze"], "data.h5", "e+06 K, beyond 100000 K")
    refused(folder, COMMANDS["import"], "e+06 K, ", "give --velocity-unit")
    refused(folder, "simulate model.safetensors start.xyz --ensemble nve --duration 100fs -o new.h5", "e+05 K, beyond any molecule")
    hot = COMMANDS["simulate"].replace("300", "200000")
    refused(folder, hot, "temperature must lie between 0 and 100000 K, not 200000 K")
    (folder / "reference.yaml").write_text(REFERENCE.replace("[300]", "[200000]"))
    refused(folder, COMMANDS["reference"], "temperatures must lie between 0 and 100000 K, not [200000.0]")


def test_a_cell_too_small_for_the_cutoff(folder: Path, runs: list[Trajectory]) -> None:
    ice = Atoms("OHH", positions=molecule("H2O").positions, cell=[2.9, 3.1, 9.0], pbc=True)
    write(folder / "start.xyz", ice, format="extxyz")
    cell = "a cell only 2.90 Å wide, but the model looks 4 Å far, so that atoms would see themselves; use a supercell of at least 2 x 2 x 1"
    refused(folder, COMMANDS["simulate"], "the start has " + cell)
    write_store(folder / "data.h5", [replace(run, cell=np.diag([2.9, 3.1, 9.0]), pbc=np.ones(3, dtype=bool)) for run in runs])
    refused(folder, COMMANDS["train"], "trajectory 'run_0000' has " + cell)
    assert bulk("Si", cubic=True).cell.lengths().min() > 4.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("model.safetensors --interval 30fs", "model tiny forecasts 0 to 8 fs ahead, not 15 fs"),
        ("model.safetensors --save-every 3fs", "frames every 3 fs do not fit steps of 8 fs; save every"),
        ("fixed.safetensors --interval 5fs", "model tiny has no forecast at 2.5 fs; it forecasts at 8 fs"),
        ("fixed.safetensors --save-every 4fs", "forecasts at fixed times only; save every 16 fs"),
    ],
)
def test_a_stride_that_the_model_does_not_have(folder: Path, options: str, says: str) -> None:
    model, *rest = options.split()
    refused(folder, COMMANDS["simulate"].replace("model.safetensors", model) + " " + " ".join(rest), says)


@pytest.mark.parametrize(
    ("t_max", "says"),
    [("5 fs", "a horizon of 5 fs is not a multiple of the 2 fs between frames"), ("400 fs", "has 60 frames, but a window needs 201")],
)
def test_a_stride_that_the_data_do_not_have(folder: Path, t_max: str, says: str) -> None:
    (folder / "train.yaml").write_text(TRAIN.replace("8 fs", t_max))
    refused(folder, COMMANDS["train"], says)


def test_a_flipped_bit_in_a_model_file(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-30] ^= 16
    (folder / "model.safetensors").write_bytes(bytes(content))
    refused(folder, COMMANDS["simulate"], "the weights in model file model.safetensors are damaged", "copy or train it again")
    (folder / "train.yaml").write_text(TRAIN + "initial: model.safetensors\n")
    refused(folder, COMMANDS["train"], "the weights in model file model.safetensors are damaged")
