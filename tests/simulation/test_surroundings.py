"""Starts that no training data looked like."""

from __future__ import annotations

import pytest
from ase import Atoms
from ase.build import molecule

import copper
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.simulation import simulate
from forcefree.simulation.surroundings import check_surroundings
from forcefree.state import State
from forcefree.training.statistics import guard_limits

GUARDS = {"closest": {"1-1": 1.0}}


def card(cutoff: float = 5.0, **guards: object) -> Card:
    return Card(name="t", model="trajcast", species=[1, 6, 8, 29], t_max=10.0, cutoff=cutoff, guards=GUARDS | guards)


def test_a_molecule_in_another_unit_is_refused_and_one_in_the_right_unit_is_not() -> None:
    ethanol = molecule("CH3CH2OH")
    check_surroundings(card(), State.from_atoms([ethanol, Atoms("Cu")]))
    ethanol.positions *= 10.0
    with pytest.raises(ForcefreeError, match=r"atom C0 of the start has no other within the cutoff of 5 Å"):
        check_surroundings(card(), State.from_atoms([Atoms("Cu"), ethanol]))
    check_surroundings(Card(name="t", model="trajcast", species=[1, 6, 8], t_max=10.0, cutoff=5.0), State.from_atoms([ethanol]))


def test_the_one_atom_that_is_alone_is_named() -> None:
    ethanol = molecule("CH3CH2OH")
    ethanol.positions[7] += 40.0
    with pytest.raises(ForcefreeError, match="atom H7 of the start has no other"):
        check_surroundings(card(), State.from_atoms([molecule("CH4"), ethanol]))


def test_cells_are_as_dense_as_those_of_the_training_data() -> None:
    crystal = copper.crystal()
    limits = guard_limits([copper.run(0, 3)])
    assert limits["volume"] == pytest.approx([3.6**3 / 4.0] * 2)
    known = card(volume=limits["volume"])
    check_surroundings(known, State.from_atoms([crystal, crystal.repeat((2, 1, 1))]))
    wide = crystal.copy()
    wide.set_cell(1.1 * crystal.cell.array, scale_atoms=True)
    with pytest.raises(ForcefreeError, match=r"15.52 Å\^3 for each atom, but the training data of model t had 11.66"):
        check_surroundings(known, State.from_atoms([wide]))
    crystal.pbc = False
    with pytest.raises(ForcefreeError, match="was trained on systems that are periodic in three directions, and the start is not"):
        check_surroundings(known, State.from_atoms([crystal]))


def test_a_set_with_isolated_molecules_says_nothing_of_volumes() -> None:
    crystal = copper.run(0, 3)
    free = copper.run(1, 3)
    free.pbc[:] = False
    assert "volume" not in guard_limits([crystal, free])


def test_the_bundled_crystal_needs_its_cell() -> None:
    from forcefree.reference.starts import find_start

    quartz = find_start("quartz")
    quartz.pbc = False
    with pytest.raises(ForcefreeError, match="model trajcast-quartz was trained on systems that are periodic"):
        simulate("trajcast-quartz", quartz, temperature=300.0, duration=30.0)
    quartz.pbc = True
    quartz.set_cell(1.3 * quartz.cell.array)
    with pytest.raises(ForcefreeError, match=r"for each atom, but the training data of model trajcast-quartz had 12\.8"):
        simulate("trajcast-quartz", quartz, temperature=300.0, duration=30.0)
