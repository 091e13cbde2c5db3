"""Starts that no training data looked like."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms
from ase.build import molecule

import copper
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.reference.starts import find_start
from forcefree.simulation import simulate
from forcefree.simulation.surroundings import check_neighbours, strange_cells
from forcefree.state import State
from forcefree.training.statistics import guard_limits

GUARDS = {"closest": {"1-1": 1.0}}


def card(cutoff: float = 5.0, **guards: object) -> Card:
    return Card(name="t", model="trajcast", species=[1, 6, 8, 29], t_max=10.0, cutoff=cutoff, guards=GUARDS | guards)


def test_a_molecule_in_another_unit_is_refused_and_one_in_the_right_unit_is_not() -> None:
    ethanol = molecule("CH3CH2OH")
    check_neighbours(card(), State.from_atoms([ethanol, Atoms("Cu")]))
    ethanol.positions *= 10.0
    with pytest.raises(ForcefreeError, match=r"atom C0 of system 1 of the start has no other within the cutoff of 5 Å"):
        check_neighbours(card(), State.from_atoms([Atoms("Cu"), ethanol]))
    with pytest.raises(ForcefreeError, match=r"atom C0 of the start has no other"):
        check_neighbours(card(), State.from_atoms([ethanol]))
    check_neighbours(Card(name="t", model="trajcast", species=[1, 6, 8], t_max=10.0, cutoff=5.0), State.from_atoms([ethanol]))


def test_the_one_atom_that_is_alone_is_named_and_images_of_itself_are_no_company() -> None:
    ethanol = molecule("CH3CH2OH")
    ethanol.positions[7] += 40.0
    with pytest.raises(ForcefreeError, match="atom H7 of system 1 of the start has no other"):
        check_neighbours(card(), State.from_atoms([molecule("CH4"), ethanol]))
    pair = Atoms("CuH", positions=[[0.0, 0.0, 0.0], [0.0, 0.0, 20.0]], cell=[4.0, 4.0, 40.0], pbc=True)
    with pytest.raises(ForcefreeError, match="atom Cu0 of the start has no other"):
        check_neighbours(card(), State.from_atoms([pair]))


def test_cells_are_as_dense_as_those_of_the_training_data() -> None:
    crystal = copper.crystal()
    limits = guard_limits([copper.run(0, 3)])
    assert limits["volume"] == pytest.approx([3.6**3 / 4.0] * 2)
    known = card(volume=limits["volume"])
    assert strange_cells(known, State.from_atoms([crystal, crystal.repeat((2, 1, 1))])) == []
    wide = crystal.copy()
    wide.set_cell(1.1 * crystal.cell.array, scale_atoms=True)
    (said,) = strange_cells(known, State.from_atoms([crystal, wide]))
    assert "15.52 Å^3 for each atom, and the training data of model t had 11.66" in said
    crystal.pbc = False
    (said,) = strange_cells(known, State.from_atoms([crystal]))
    assert "was trained on systems that are periodic in three directions, and the start is not" in said
    assert strange_cells(card(), State.from_atoms([wide])) == []


def test_a_set_with_isolated_molecules_says_nothing_of_volumes() -> None:
    crystal = copper.run(0, 3)
    free = copper.run(1, 3)
    free.pbc[:] = False
    assert "volume" not in guard_limits([crystal, free])


def test_the_bundled_crystal_misses_its_cell_aloud_and_runs() -> None:
    said: list[str] = []
    quartz = find_start("quartz")
    quartz.pbc = False
    simulate("trajcast-quartz", quartz, temperature=10.0, duration=30.0, notice=said.append)
    quartz.pbc = True
    quartz.set_cell(1.3 * quartz.cell.array)
    simulate("trajcast-quartz", quartz, temperature=10.0, duration=30.0, notice=said.append)
    assert "not; do not trust surfaces" in said[0]
    assert "trajcast-quartz had 12.8" in said[-1]


def test_a_run_that_was_begun_goes_on_whatever_its_start_looks_like(tmp_path: Path) -> None:
    from forcefree.simulation import surroundings

    ethanol = molecule("CH3CH2OH")
    options = {"temperature": 300.0, "velocities": "maxwell-boltzmann", "output": tmp_path / "t.h5"}
    simulate("trajcast-ethanol", ethanol, duration=40.0, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surroundings, "pairs_of_images", None)
        simulate("trajcast-ethanol", ethanol, duration=80.0, resume=True, **options)
