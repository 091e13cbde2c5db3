"""The temperature that thermostats, reports and analysis share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import molecule

from forcefree.errors import ForcefreeError
from forcefree.state import State
from forcefree.streams import Streams
from forcefree.temperature import (
    Conserved,
    degrees_of_freedom,
    element_temperatures,
    freedom_shares,
    kinetic_energy,
    kinetic_temperature,
    turning_axes,
)
from forcefree.velocities import maxwell_boltzmann


def _tumbling(names: list[str], seed: int = 7) -> list[Atoms]:
    rng = np.random.default_rng(seed)
    molecules = [molecule(name) for name in names]
    for atoms in molecules:
        atoms.set_velocities(rng.normal(size=(len(atoms), 3)) * 0.1)
    return molecules


def _boxed(name: str) -> Atoms:
    atoms = molecule(name)
    atoms.set_cell([8.0, 9.0, 10.0])
    atoms.pbc = True
    return atoms


def test_agrees_with_ase_for_every_system_of_a_batch() -> None:
    molecules = _tumbling(["H2O", "CO2", "CH3CH2OH"])

    measured = kinetic_temperature(State.from_atoms(molecules), "nothing")

    expected = torch.tensor([m.get_temperature() for m in molecules], dtype=torch.float64)
    torch.testing.assert_close(measured, expected, rtol=1e-12, atol=0.0)


def test_kinetic_energy_leaves_the_drift_out_only_where_momentum_is_conserved() -> None:
    [atoms] = _tumbling(["CH4"])
    whole = atoms.get_kinetic_energy()
    momentum = atoms.get_momenta().sum(axis=0)
    drift = 0.5 * momentum @ momentum / atoms.get_masses().sum()
    state = State.from_atoms([atoms])

    assert float(kinetic_energy(state, "nothing")[0]) == pytest.approx(whole, rel=1e-12)
    assert float(kinetic_energy(state, "momentum")[0]) == pytest.approx(whole - drift, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "conserved", "expected"),
    [
        ("CH3CH2OH", "nothing", 27),
        ("CH3CH2OH", "momentum", 24),
        ("CH3CH2OH", "momentum and rotation", 21),
        ("CO2", "momentum and rotation", 4),
        ("N2", "momentum and rotation", 1),
        ("N2", "momentum", 3),
    ],
)
def test_counts_of_textbooks(name: str, conserved: Conserved, expected: int) -> None:
    assert degrees_of_freedom(State.from_atoms([molecule(name)]), conserved).tolist() == [expected]


def test_a_bending_linear_molecule_has_three_axes_but_a_diatomic_never_does() -> None:
    batch = State.from_atoms([molecule("CO2"), molecule("N2"), molecule("H2O")])

    assert turning_axes(batch).tolist() == [2, 2, 3]
    assert degrees_of_freedom(batch, "momentum and rotation", bending=True).tolist() == [3, 1, 3]


def test_a_periodic_system_keeps_its_rotational_freedom() -> None:
    batch = State.from_atoms([_boxed("H2O"), molecule("H2O")])

    assert degrees_of_freedom(batch, "momentum and rotation").tolist() == [6, 3]


@pytest.mark.parametrize("conserved", ["momentum", "momentum and rotation"])
def test_a_single_atom_has_no_freedom_left(conserved: Conserved) -> None:
    batch = State.from_atoms([molecule("H2O"), Atoms("Ar")])

    with pytest.raises(ForcefreeError, match=f"a system of 1 atom has no degree of freedom left when {conserved} is conserved"):
        degrees_of_freedom(batch, conserved)


def test_a_single_atom_counts_three_where_nothing_is_conserved() -> None:
    assert degrees_of_freedom(State.from_atoms([Atoms("Ar")]), "nothing").tolist() == [3]


@pytest.mark.parametrize("conserved", ["nothing", "momentum", "momentum and rotation"])
@pytest.mark.parametrize("names", [["CH3CH2OH", "H2O"], ["CO2", "N2"]])
def test_shares_add_up_to_the_degrees_of_freedom(conserved: Conserved, names: list[str]) -> None:
    batch = State.from_atoms([*[molecule(name) for name in names], _boxed("CH4")])

    torch.testing.assert_close(batch.sum(freedom_shares(batch, conserved)), degrees_of_freedom(batch, conserved), rtol=1e-10, atol=0.0)


def test_shares_are_the_formula_written_with_loops() -> None:
    atoms = molecule("CH3CH2OH")
    masses, arms = atoms.get_masses(), atoms.positions - atoms.get_center_of_mass()
    inertia = sum(m * (d @ d * np.eye(3) - np.outer(d, d)) for m, d in zip(masses, arms, strict=True))
    expected = [
        3 - 3 * m / masses.sum() - m * np.trace((d @ d * np.eye(3) - np.outer(d, d)) @ np.linalg.inv(inertia))
        for m, d in zip(masses, arms, strict=True)
    ]

    measured = freedom_shares(State.from_atoms([atoms]), "momentum and rotation")

    np.testing.assert_allclose(measured.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("conserved", ["nothing", "momentum", "momentum and rotation"])
def test_shares_are_what_canonical_draws_give_each_atom(conserved: Conserved) -> None:
    draws = 4000
    batch = State.from_atoms([molecule("CH3CH2OH")]).repeat(draws)
    drawn = maxwell_boltzmann(batch, 400.0, Streams(3, range(draws)), conserved)

    twice = drawn.masses * drawn.velocities.square().sum(dim=1) * (1.0 / units.fs**2) / (units.kB * 400.0)

    measured = twice.view(draws, -1).mean(0)
    error = twice.view(draws, -1).std(0) / draws**0.5
    shares = freedom_shares(batch, conserved).view(draws, -1)[0]
    assert bool(((measured - shares).abs() < 4.5 * error).all())


def test_elements_share_one_temperature_only_when_counted_by_shares() -> None:
    draws = 4000
    batch = State.from_atoms([molecule("CH3CH2OH")]).repeat(draws)
    drawn = maxwell_boltzmann(batch, 400.0, Streams(5, range(draws)), "momentum and rotation")

    measured = element_temperatures(drawn, "momentum and rotation")

    assert list(measured) == ["H", "C", "O"]
    for symbol, values in measured.items():
        assert float(values.mean()) == pytest.approx(400.0, abs=4.5 * float(values.std()) / draws**0.5), symbol
    naive = element_temperatures(drawn, "nothing")
    assert float(naive["O"].mean()) < 250.0


def test_an_element_that_a_system_lacks_has_no_temperature() -> None:
    measured = element_temperatures(State.from_atoms(_tumbling(["H2O", "CH4"])), "momentum")

    assert measured["O"].isnan().tolist() == [False, True]
    assert measured["C"].isnan().tolist() == [True, False]
    assert not bool(measured["H"].isnan().any())


def test_what_the_conservation_laws_hold_still_has_no_temperature() -> None:
    batch = State.from_atoms([*_tumbling(["H2O"]), Atoms("Ar", velocities=[[1.0, 0.0, 0.0]])])

    assert element_temperatures(batch, "momentum")["Ar"].isnan().all()
    assert float(element_temperatures(batch, "nothing")["Ar"][1]) == pytest.approx(39.948 / (3.0 * units.kB))
