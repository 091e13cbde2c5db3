"""The state: to ASE and back, batches, and what cannot be a state."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule

from forcefree.errors import ForcefreeError
from forcefree.state import State


def _molecules() -> list[Atoms]:
    generator = np.random.default_rng(1)
    molecules = [molecule("CH3CH2OH"), bulk("Si", cubic=True), Atoms("Ar", cell=[4, 5, 0], pbc=[True, True, False])]
    for atoms in molecules:
        atoms.set_velocities(generator.normal(size=(len(atoms), 3)) / units.fs)
    return molecules


def test_structures_come_back_as_they_went_in() -> None:
    for before, after in zip(_molecules(), State.from_atoms(_molecules()).to_atoms(), strict=True):
        np.testing.assert_array_equal(after.numbers, before.numbers)
        np.testing.assert_array_equal(after.positions, before.positions)
        np.testing.assert_allclose(after.get_velocities(), before.get_velocities(), rtol=1e-14)
        np.testing.assert_array_equal(after.get_masses(), before.get_masses())
        np.testing.assert_array_equal(after.cell.array, before.cell.array)
        np.testing.assert_array_equal(after.pbc, before.pbc)


def test_velocities_are_angstrom_per_femtosecond() -> None:
    atoms = Atoms("H", velocities=[[0.03 / units.fs, 0.0, 0.0]])
    assert float(State.from_atoms([atoms]).velocities[0, 0]) == pytest.approx(0.03)


def test_shapes_and_precision_are_those_of_the_contract() -> None:
    state = State.from_atoms(_molecules())
    assert (state.n_systems, state.n_atoms, state.sizes.tolist()) == (3, 18, [9, 8, 1])
    assert state.isolated.tolist() == [True, False, False]
    assert state.positions.dtype == state.velocities.dtype == state.masses.dtype == state.time.dtype == torch.float64
    assert state.numbers.dtype == state.system.dtype == torch.int64
    assert (state.cell.shape, state.pbc.shape) == ((3, 3, 3), (3, 3))
    assert torch.equal(state.cell[2, 2], torch.zeros(3, dtype=torch.float64))


def test_a_cell_without_periodicity_is_no_cell() -> None:
    box = molecule("H2O", vacuum=5.0)
    assert box.cell.volume > 0
    assert not bool(State.from_atoms([box]).cell.any())


def test_sums_and_means_run_over_each_system() -> None:
    state = State.from_atoms(_molecules())
    for index, atoms in enumerate(_molecules()):
        np.testing.assert_allclose(state.mean_by_mass(state.positions)[index], atoms.get_center_of_mass(), atol=1e-12)
        assert float(state.sum(state.masses)[index]) == pytest.approx(atoms.get_masses().sum())
    assert state.sum(torch.ones(18, 2, 3)).shape == (3, 2, 3)


def test_selecting_keeps_order_and_renumbers() -> None:
    state = State.from_atoms(_molecules()).with_(time=torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    chosen = state.select(torch.tensor([True, False, True]))
    assert chosen.system.tolist() == [0] * 9 + [1]
    assert chosen.time.tolist() == [1.0, 3.0]
    assert chosen.numbers.tolist() == [*state.numbers[:9].tolist(), 18]
    assert torch.equal(chosen.cell, state.cell[[0, 2]])
    assert state.select(torch.zeros(3, dtype=torch.bool)).n_systems == 0


def test_repeating_makes_whole_copies_one_after_another() -> None:
    state = State.from_atoms(_molecules())
    copies = state.repeat(3)
    assert copies.sizes.tolist() == [9, 8, 1] * 3
    for number in range(3):
        chosen = torch.zeros(9, dtype=torch.bool)
        chosen[3 * number : 3 * number + 3] = True
        one = copies.select(chosen)
        for name in State.__dataclass_fields__:
            assert torch.equal(getattr(one, name), getattr(state, name)), name


def test_a_changed_copy_leaves_the_original_alone() -> None:
    state = State.from_atoms([molecule("H2O")])
    moved = state.with_(positions=state.positions + 1.0).to("cpu")
    assert float((moved.positions - state.positions).min()) == pytest.approx(1.0)
    with pytest.raises(AttributeError):
        state.time = torch.ones(1)  # type: ignore[misc]


@pytest.mark.parametrize("molecules", [[], [Atoms()], [molecule("H2O"), Atoms()]])
def test_nothing_is_not_a_state(molecules: list[Atoms]) -> None:
    with pytest.raises(ForcefreeError, match="at least one system, and each system at least one atom"):
        State.from_atoms(molecules)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["positions", "velocities"])
def test_numbers_that_are_none_are_refused(value: float, what: str) -> None:
    atoms = molecule("H2O")
    if what == "positions":
        atoms.positions[1, 2] = value
    else:
        atoms.set_velocities(np.full((3, 3), value))
    with pytest.raises(ForcefreeError, match="a position or velocity is not a finite number"):
        State.from_atoms([atoms])
