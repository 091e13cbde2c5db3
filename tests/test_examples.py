"""The examples and the README: configurations that can be read, commands that exist, a calculator whose forces are gradients."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import molecule
from typer.main import get_command

from forcefree.cli.main import app
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig, ReferenceConfig
from forcefree.reference.engines.choice import build_engine
from forcefree.reference.starts import load_start
from forcefree.training.config import TrainingConfig

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "examples").rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_configuration_is_valid(path: Path) -> None:
    kind = TrainingConfig if "data" in yaml.safe_load(path.read_text()) else ReferenceConfig
    assert kind.read(path).output.suffix in (".h5", ".safetensors")


def test_the_chemical_space_set_is_large_enough_and_its_parts_fit_together() -> None:
    folder = ROOT / "examples" / "chemical-space"
    every = {start.label for start in ReferenceConfig.read(folder / "reference.yaml").start}
    unseen = set(TrainingConfig.read(folder / "train.yaml").data.exclude)
    fresh = {start.label for start in ReferenceConfig.read(folder / "held-out.yaml").start}
    assert unseen < every
    assert fresh < every - unseen
    assert len(every - unseen) >= 150
    assert len(unseen) >= 20
    for stage in ("refine", "energy"):
        assert set(TrainingConfig.read(folder / f"{stage}.yaml").data.exclude) == unseen
    assert {start.label for start in ReferenceConfig.read(folder / "spectra.yaml").start} < unseen
    more = ReferenceConfig.read(folder / "more.yaml").start
    assert len({start.label for start in more}) == 300
    assert not [start for start in more if start in ReferenceConfig.read(folder / "reference.yaml").start]
    assert not {start.label for start in more} & unseen
    assert "CH3CH2OH" in every - unseen
    assert ReferenceConfig.read(folder / "reference.yaml").seed != ReferenceConfig.read(folder / "held-out.yaml").seed


def test_the_calculator_of_the_example_is_a_morse_potential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "examples" / "custom-calculator")])
    config = ReferenceConfig.read(ROOT / "examples" / "custom-calculator" / "reference.yaml")
    atoms = molecule("HCl")
    atoms.calc = build_calculator(CalculatorConfig.model_validate(config.calculator.model_dump()))
    atoms.set_distance(0, 1, 1.275)
    np.testing.assert_allclose(atoms.get_forces(), 0.0, atol=1e-12)
    assert atoms.get_potential_energy() == pytest.approx(0.0, abs=1e-12)
    atoms.set_distance(0, 1, 1.5, fix=0)
    force, energies = atoms.get_forces()[1, 2], []
    for step in (1e-5, -1e-5):
        moved = atoms.copy()
        moved.positions[1, 2] += step
        moved.calc = atoms.calc
        energies.append(moved.get_potential_energy())
    assert force == pytest.approx(-(energies[0] - energies[1]) / 2e-5, rel=1e-6)


@pytest.mark.parametrize("page", ["README.md", "docs/install.md", "docs/tutorial.md", "docs/index.md"])
def test_every_command_and_option_that_a_page_shows_exists(page: str) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    text = (ROOT / page).read_text().replace("\\\n", " ")
    shown = [line.split("#")[0] for line in text.splitlines() if line.startswith("forcefree ")]
    for line in shown:
        name = line.split()[1]
        assert name in commands, line
        options = {option for parameter in commands[name].params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert set(re.findall(r"(?<=\s)--[\w-]+", line)) <= options, line


@pytest.mark.parametrize("page", ["README.md", "examples/README.md"])
def test_every_link_in_the_readme_leads_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "materials").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_system_of_materials_has_its_start_and_the_forces_that_its_potential_promises(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "data" in yaml.safe_load(path.read_text()):
        pytest.skip("a training")
    monkeypatch.chdir(path.parent)
    config = ReferenceConfig.read(path)
    if config.calculator.native:
        pytest.importorskip(config.calculator.name)
    atoms = load_start(config.start[0])
    atoms.rattle(0.02, seed=1)
    engine = build_engine(config, atoms)
    forces, energies = engine.frame().forces, []
    still = np.zeros_like(atoms.positions)
    for step in (1e-4, -1e-4):
        moved = atoms.positions.copy()
        moved[3, 1] += step
        engine.place(moved, still)
        energies.append(engine.frame().energy)
    assert forces[3, 1] == pytest.approx(-(energies[0] - energies[1]) / 2e-4, rel=1e-4, abs=1e-4 if config.calculator.native else 3e-3)
    if path.stem != "water":
        assert np.abs(forces).max() < 15.0
