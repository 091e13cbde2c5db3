"""sGDML models as ASE calculators."""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from forcefree.errors import ForcefreeError
from forcefree.units import KCAL_PER_MOL

if importlib.util.find_spec("sgdml") is None:
    pytest.skip("the package sgdml is not installed", allow_module_level=True)

from forcefree.reference.sgdml import SymmetricGradientDomain, load_model
from forcefree.reference.sgdml_field import GradientDomainField

_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
_MODEL = _DATA / "sgdml_models" / "ethanol.npz"
_FRAMES = _DATA / "md17_windows" / "ethanol.npz"
_real = pytest.mark.skipif(not _MODEL.is_file(), reason=f"no sGDML model at {_MODEL}")


def _toy(layout: str = "today") -> dict[str, Any]:
    """A model of three training points of water with the exchange of both hydrogens, in today's or the first layout."""
    rng = np.random.default_rng(0)
    permutations = np.array([[0, 1, 2], [0, 2, 1]])
    descriptors = rng.uniform(0.6, 1.1, size=(3, 3))
    values = {
        "z": np.array([8, 1, 1], dtype=np.uint8),
        "sig": np.array(10),
        "c": np.array(-100.0),
        "std": np.array(2.0),
        "R_desc": descriptors.T,
        "R_d_desc_alpha": rng.normal(size=(3, 3)),
        "perms": permutations,
        "tril_perms_lin": np.array([0, 4, 1, 3, 2, 5]),
    }
    if layout == "first":
        values |= {"R_desc": descriptors, "perms": permutations + 1}
    return values


def _water(positions: np.ndarray | None = None) -> Atoms:
    return Atoms("OH2", np.array([[0, 0, 0.1], [0.8, 0, 0.7], [-0.7, 0.1, 0.6]]) if positions is None else positions)


def _calculator(tmp_path: Path, values: dict[str, Any]) -> SymmetricGradientDomain:
    np.savez(tmp_path / "model.npz", **values)
    return SymmetricGradientDomain(tmp_path / "model.npz")


def test_forces_are_the_gradient_and_sum_to_nothing(tmp_path: Path) -> None:
    atoms = _water()
    atoms.calc = _calculator(tmp_path, _toy())
    forces = atoms.get_forces()
    assert np.abs(forces).max() > 1e-3
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-10)
    for atom, axis in ((0, 2), (1, 0), (2, 1)):
        energies = []
        for step in (1e-4, -1e-4):
            moved = _water()
            moved.positions[atom, axis] += step
            moved.calc = atoms.calc
            energies.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / 2e-4, abs=1e-6)


def test_like_atoms_are_alike_and_space_has_no_direction(tmp_path: Path) -> None:
    calculator, here = _calculator(tmp_path, _toy()), _water()
    here.calc = calculator
    energy, forces = here.get_potential_energy(), here.get_forces()
    swapped = _water(here.positions[[0, 2, 1]])
    swapped.calc = calculator
    assert swapped.get_potential_energy() == pytest.approx(energy, abs=1e-10)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    turned = _water(here.positions @ turn + 5.0)
    turned.calc = calculator
    assert turned.get_potential_energy() == pytest.approx(energy, abs=1e-10)
    np.testing.assert_allclose(turned.get_forces(), forces @ turn, atol=1e-10)


def test_the_first_layout_gives_the_same_numbers(tmp_path: Path) -> None:
    results = []
    for layout in ("today", "first"):
        atoms = _water()
        atoms.calc = _calculator(tmp_path, _toy(layout))
        results.append((atoms.get_potential_energy(), atoms.get_forces()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-14)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12, atol=1e-14)


def test_the_packages_own_predictor_agrees(tmp_path: Path) -> None:
    from torch import from_numpy

    atoms = _water()
    atoms.calc = _calculator(tmp_path, _toy())
    from sgdml.torchtools import GDMLTorchPredict

    energy, forces = GDMLTorchPredict(_toy(), log_level=logging.ERROR)(from_numpy(atoms.positions[None]))
    assert atoms.get_potential_energy() == pytest.approx(float(energy[0]) * KCAL_PER_MOL, rel=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), forces[0].numpy() * KCAL_PER_MOL, rtol=1e-12)


def test_matrix_vector_products_give_the_same_energy_and_forces(tmp_path: Path) -> None:
    atoms = _water()
    atoms.calc = _calculator(tmp_path, _toy())
    energy, forces = GradientDomainField(load_model(tmp_path / "model.npz"))(atoms.positions)
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(forces, atoms.get_forces(), rtol=1e-9, atol=1e-11)


def test_other_atoms_or_another_order_are_refused(tmp_path: Path) -> None:
    calculator = _calculator(tmp_path, _toy())
    for symbols in ("HOH", "OH3", "NH2"):
        atoms = Atoms(symbols, np.random.default_rng(0).normal(size=(len(Atoms(symbols)), 3)))
        atoms.calc = calculator
        with pytest.raises(ForcefreeError, match="for atoms in the order OH2, not"):
            atoms.get_potential_energy()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sig": None}, "is not an sGDML model; it lacks sig"),
        ({"perms": np.array([[0, 2, 1]])}, "do not fit 3 atoms"),
        ({"R_desc": np.zeros((4, 4))}, "do not fit 3 atoms"),
        ({"R_d_desc_alpha": np.zeros((2, 3))}, "do not fit 3 atoms"),
    ],
)
def test_damaged_models_are_one_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    values = {key: value for key, value in (_toy() | change).items() if value is not None}
    with pytest.raises(ForcefreeError, match=sentence):
        _calculator(tmp_path, values)


def test_missing_and_truncated_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match="does not exist"):
        SymmetricGradientDomain(tmp_path / "none.npz")
    _calculator(tmp_path, _toy())
    path = tmp_path / "model.npz"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ForcefreeError, match="may be truncated"):
        SymmetricGradientDomain(path)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "sgdml.torchtools", None)
    with pytest.raises(ImportError, match=r"pip install 'forcefree\[sgdml\]'"):
        SymmetricGradientDomain(tmp_path / "any.npz")


def test_the_packages_logger_does_not_stay_behind(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", **_toy())
    code = (
        "import logging; from forcefree.reference.sgdml import SymmetricGradientDomain as S; "
        f"S({str(tmp_path / 'model.npz')!r}); print(logging.getLoggerClass().__module__); "
        "[print(n) for n, v in logging.root.manager.loggerDict.items() if n[:5] != 'sgdml' and type(v).__module__[:5] == 'sgdml']"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "logging"
    assert ended.stderr == ""


@_real
def test_ethanol_agrees_with_the_density_functional_forces_of_md17() -> None:
    if not _FRAMES.is_file():
        pytest.skip(f"{_FRAMES} is absent")
    calculator = SymmetricGradientDomain(_MODEL)
    force_errors, energy_errors = [], []
    with np.load(_FRAMES) as frames:
        for index in range(0, 2000, 200):
            atoms = Atoms(frames["Z"], frames["pos"][index])
            atoms.calc = calculator
            force_errors.append(np.abs(atoms.get_forces() - frames["forces"][index]).mean() / KCAL_PER_MOL)
            energy_errors.append((atoms.get_potential_energy() - frames["energy"][index]) / KCAL_PER_MOL)
    assert np.mean(force_errors) < 0.4
    assert np.std(energy_errors) < 0.2


@_real
def test_every_model_has_forces_that_are_its_gradient() -> None:
    for path in sorted(_MODEL.parent.glob("*.npz")):
        calculator = SymmetricGradientDomain(path)
        with np.load(path) as model:
            atoms = Atoms(model["z"], model["R_train"][0])
        atoms.calc = calculator
        direction = np.random.default_rng(0).normal(size=(len(atoms), 3))
        slope = -(atoms.get_forces() * direction).sum()
        energies = []
        start = atoms.positions.copy()
        for step in (2e-3, -2e-3):
            atoms.positions = start + step * direction
            energies.append(atoms.get_potential_energy())
        assert (energies[0] - energies[1]) / 4e-3 == pytest.approx(slope, abs=5e-3), path.name
