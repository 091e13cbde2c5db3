"""The field of charges in a periodic cell against a lattice sum that is known, and against its own invariances."""

import math

import pytest
import torch
from ase import Atoms
from ase.build import bulk

from forcefree.errors import ForcefreeError
from forcefree.nn import lattice_waves
from forcefree.nn.lattice_waves import LatticeWaves, ReciprocalLattice
from forcefree.state import State

MADELUNG_NACL = 1.7475645946


def salt(smearing: float = 1.4) -> tuple[State, torch.Tensor, LatticeWaves]:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    state = State.from_atoms([atoms])
    charges = torch.where(state.numbers == 11, 1.0, -1.0).double()[:, None]
    return state, charges, ReciprocalLattice(smearing)(state, torch.float64)


def test_the_potential_of_rock_salt_is_madelungs() -> None:
    smearing = 1.4
    state, charges, waves = salt(smearing)
    potential = waves.field(charges)[0, :, 0, 0]
    shifts = torch.cartesian_prod(*[torch.arange(-3.0, 4.0)] * 3).double() @ state.cell[0]
    near = 0.0
    for index in range(state.n_atoms):
        distances = (state.positions[index] + shifts - state.positions[0]).norm(dim=-1)
        distances = distances[distances > 1e-6]
        near += float(charges[index] * (torch.erfc(distances / (math.sqrt(2.0) * smearing)) / distances).sum())
    own = math.sqrt(2.0 / math.pi) / smearing
    found = float(potential[0]) + near - own
    assert found == pytest.approx(-MADELUNG_NACL / 2.8, rel=3e-5)


def test_the_field_is_the_downhill_slope_of_the_energy() -> None:
    state, charges, _ = salt()
    positions = state.positions + 0.3 * torch.randn(state.positions.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    positions.requires_grad_()
    waves = ReciprocalLattice(1.4)(state.with_(positions=positions), torch.float64)
    field = waves.field(charges)[0]
    energy = 0.5 * (charges[:, 0] * field[:, 0, 0]).sum()
    force = -torch.autograd.grad(energy, positions)[0]
    assert torch.allclose(charges * field[:, 1:, 0], force, atol=1e-10)
    assert force.abs().max() > 1e-2


def test_atoms_that_moved_are_heard_where_they_are() -> None:
    state, charges, waves = salt()
    moved = 0.2 * torch.randn(3, state.n_atoms, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ahead = waves.field(charges, moved)
    for shift, seen in zip(moved, ahead, strict=True):
        there = ReciprocalLattice(1.4)(state.with_(positions=state.positions + shift), torch.float64)
        assert torch.allclose(there.field(charges)[0], seen, atol=1e-10)


def test_blocks_of_waves_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    small = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    small.rattle(0.2, seed=3)
    state = State.from_atoms([small.repeat((2, 1, 1)), small])
    charges = torch.randn(state.n_atoms, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    moved = 0.2 * torch.randn(3, state.n_atoms, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    waves = ReciprocalLattice(1.4)(state, torch.float64)
    whole = waves.field(charges, moved)
    monkeypatch.setattr(lattice_waves, "LARGEST_BLOCK", 500)
    with torch.no_grad():
        assert torch.allclose(waves.field(charges, moved), whole, atol=1e-12)


def test_single_precision_far_from_the_origin_and_under_autocast() -> None:
    state, charges, waves = salt()
    exact = waves.field(charges)
    away = state.with_(positions=state.positions + 5.6 * 10000.0)
    single = ReciprocalLattice(1.4)(away, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.allclose(single.field(charges.float()).double(), exact, atol=1e-5)


def test_a_cell_with_no_wave_that_long_has_no_field() -> None:
    state, charges, _ = salt()
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            assert not ReciprocalLattice(14.0)(state, torch.float64).field(charges).any()


def test_other_cells_of_the_batch_and_supercells_change_nothing() -> None:
    small = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    small.rattle(0.2, seed=3)
    large = small.repeat((2, 1, 1))
    slanted = Atoms("NaCl", positions=[[0.1, 0, 0], [2, 2, 1.7]], cell=[[5, 0, 0], [1, 5.5, 0], [0.4, -1, 6]], pbc=True)
    fields = []
    for batch in ([small], [large, small, slanted]):
        state = State.from_atoms(batch)
        charges = torch.where(state.numbers == 11, 1.0, -1.0).double()[:, None]
        fields.append(ReciprocalLattice(1.4)(state, torch.float64).field(charges)[0])
    assert torch.allclose(fields[1][16:24], fields[0], atol=1e-10)
    assert torch.allclose(fields[1][:8], fields[0], atol=1e-5)  # a larger cell has waves in between whose sum is the same but for the cut
    assert fields[1][24:].abs().max() > 1e-3


def test_without_a_cell_there_is_no_reciprocal_lattice() -> None:
    with pytest.raises(ForcefreeError, match="periodic"):
        ReciprocalLattice(1.4)(State.from_atoms([Atoms("NaCl", positions=[[0, 0, 0], [2, 0, 0]])]), torch.float64)


def test_the_lattice_is_found_anew_when_the_cell_or_the_mode_changes() -> None:
    lattice = ReciprocalLattice(1.4)
    state, charges, _ = salt()
    wider = state.with_(cell=1.1 * state.cell, positions=1.1 * state.positions)
    with torch.inference_mode():
        lattice(state, torch.float64)
    fields = [lattice(each, torch.float64).field(charges) for each in (state, wider, state)]
    assert torch.equal(fields[0], fields[2])
    assert not torch.allclose(fields[0], fields[1])
    lattice(state, torch.float64).field(charges.requires_grad_()).sum().backward()
    with pytest.raises(ForcefreeError, match="periodic"):
        lattice(state.with_(pbc=torch.tensor([[True, True, False]])), torch.float64)
