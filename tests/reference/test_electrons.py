"""Charge and spin of a system travel from the start structure through the reference to the energies of an analysis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write

from forcefree.analysis.energies import potential_energies
from forcefree.analysis.sample import load_sample
from forcefree.analysis.study import _energy_options
from forcefree.data.h5md import write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig, ReferenceConfig
from forcefree.reference.electrons import NEUTRAL, Electrons

SHORT = {"recording": {"duration": "40 fs", "every": "1 fs"}, "equilibration": {"duration": "5 fs"}, "minimize": False}
HYDRONIUM = Atoms("OH3", positions=[[0, 0, 0.1], [0.93, 0, -0.2], [-0.465, 0.805, -0.2], [-0.465, -0.805, -0.2]], charges=[1.0, 0, 0, 0])


def charged_by_structure(folder: Path) -> dict[str, Any]:
    write(folder / "start.xyz", HYDRONIUM, format="extxyz", columns=["symbols", "positions", "initial_charges"])
    return {"start": {"file": folder / "start.xyz"}, "calculator": {"name": "gfn2-xtb"}}


def charged_by_calculator(folder: Path) -> dict[str, Any]:
    write(folder / "start.xyz", Atoms(HYDRONIUM.numbers, positions=HYDRONIUM.positions), format="extxyz")
    return {"start": {"file": folder / "start.xyz"}, "calculator": {"name": "gfn2-xtb", "options": {"charge": 1}}}


def open_shell(folder: Path) -> dict[str, Any]:
    atoms = molecule("CH2_s3B1d")
    atoms.set_initial_magnetic_moments([2.0, 0.0, 0.0])
    write(folder / "start.xyz", atoms, format="extxyz", columns=["symbols", "positions", "initial_magmoms"])
    return {"start": {"file": folder / "start.xyz"}, "calculator": {"name": "gfn2-xtb"}}


@pytest.mark.parametrize(
    ("made", "electrons"),
    [
        (charged_by_structure, Electrons(charge=1.0)),
        (charged_by_calculator, NEUTRAL),
        (open_shell, Electrons(unpaired=2.0)),
    ],
)
def test_energies_of_sampled_frames_have_the_electrons_of_the_reference(
    made: Callable[[Path], dict[str, Any]],
    electrons: Electrons,
    make_config: Callable[..., ReferenceConfig],
    recorded: Callable[[ReferenceConfig], Trajectory],
    tmp_path: Path,
) -> None:
    config = make_config(**made(tmp_path), **SHORT)
    run = recorded(config)
    assert Electrons.stored(run.provenance, "run") == electrons
    store = tmp_path / "reference.h5"
    write_store(store, [run])
    options = _energy_options("stored", load_sample(store), 10, 1)
    assert options is not None
    forecast = replace(run, provenance={"model": "any"})
    (found,) = potential_energies([forecast], options.calculator, electrons=options.electrons)
    np.testing.assert_allclose(found, run.energies, atol=1e-6)
    (other,) = potential_energies([forecast], CalculatorConfig(name="gfn2-xtb", options={}))
    assert np.isnan(other).all() or np.abs(other - run.energies).min() > 0.1


def test_electrons_are_spread_over_the_atoms_and_summed_again() -> None:
    atoms = molecule("CH3CH2OH")
    Electrons(charge=-2.0, unpaired=3.0).attach(atoms)
    assert Electrons.of(atoms).provenance() == pytest.approx({"charge": -2.0, "unpaired_electrons": 3.0})
    assert len(set(atoms.get_initial_charges())) == 1
    bare = molecule("CH3CH2OH")
    NEUTRAL.attach(bare)
    assert not bare.has("initial_charges")
    assert Electrons.of(bare) == NEUTRAL == Electrons.stored({}, "an imported trajectory")


def test_the_calculators_own_charge_goes_before_the_structures() -> None:
    atoms = HYDRONIUM.copy()
    atoms.calc = build_calculator(CalculatorConfig(name="gfn2-xtb", options={"charge": 1}))
    expected = atoms.get_potential_energy()
    Electrons(charge=-1.0).attach(atoms)
    assert atoms.get_potential_energy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("value", ["one", float("nan"), None])
def test_a_charge_that_is_not_a_number_is_refused(value: Any) -> None:
    with pytest.raises(ForcefreeError, match=r"unpaired electrons in ref\.h5 must be numbers, not"):
        Electrons.stored({"charge": value}, "ref.h5")
