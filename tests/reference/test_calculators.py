"""Calculators by name and by import path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.optimize import BFGS
from ase.units import Hartree

from forcefree.errors import ForcefreeError
from forcefree.reference.calculators import BUILT_IN, build_calculator
from forcefree.reference.config import CalculatorConfig


def test_gfn2_xtb_is_the_default_and_gives_its_known_energy_of_water() -> None:
    atoms = molecule("H2O")
    atoms.calc = build_calculator(CalculatorConfig())
    BFGS(atoms, logfile=None).run(fmax=1e-3)
    assert atoms.get_potential_energy() / Hartree == pytest.approx(-5.0705, abs=1e-4)


def test_lennard_jones_has_its_minimum_where_theory_says() -> None:
    calculator = CalculatorConfig(name="lennard-jones", options={"sigma": 3.4, "epsilon": 0.01, "rc": 20.0, "smooth": False})
    pair = Atoms("Ar2", [[0, 0, 0], [3.4 * 2 ** (1 / 6), 0, 0]], calculator=build_calculator(calculator))
    assert pair.get_potential_energy() == pytest.approx(-0.01, rel=1e-3)
    np.testing.assert_allclose(pair.get_forces(), 0.0, atol=1e-12)


@pytest.mark.parametrize("name", ["emt", "EMT", "ase.calculators.emt:EMT", "springs:Springs"])
def test_names_and_import_paths_build_calculators_whose_forces_are_gradients(name: str) -> None:
    atoms = molecule("H2O")
    atoms.rattle(0.05, seed=2)
    atoms.calc = build_calculator(CalculatorConfig(name=name))
    forces, step = atoms.get_forces(), 1e-4
    for atom, axis in ((0, 0), (1, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            moved.calc = atoms.calc
            energies.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=1e-5)


def test_a_module_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_potential.py").write_text("from ase.calculators.emt import EMT as Mine\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    assert type(build_calculator(CalculatorConfig(name="my_own_potential:Mine"))).__name__ == "EMT"


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("gfn7-xtb", {}, "calculator 'gfn7-xtb' is unknown; built in are gfn2-xtb"),
        ("no.such.module:Thing", {}, "cannot be imported: No module named 'no'"),
        ("ase.calculators.emt:EMTT", {}, "cannot be imported"),
        ("sgdml", {}, "refused its options {}"),
        ("springs:Springs", {"no_such_option": {}, "label": 3}, "refused its options"),
        ("springs:not_a_calculator", {}, "made a str, which is not an ASE calculator"),
    ],
)
def test_a_calculator_that_cannot_be_built_is_one_sentence(name: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        build_calculator(CalculatorConfig(name=name, options=options))


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**options: object) -> None:
        raise ImportError("nothing there", name="mace")

    monkeypatch.setitem(BUILT_IN, "mace", missing)  # type: ignore[arg-type]
    with pytest.raises(ForcefreeError, match="calculator 'mace' needs the package 'mace', which is not installed"):
        build_calculator(CalculatorConfig(name="mace"))
