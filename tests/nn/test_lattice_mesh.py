"""The mesh says what the sum over waves says, for large cells, at a cost that grows with the atoms alone."""

import numpy as np
import pytest
import torch
from ase import Atoms

import forcefree.nn.lattice_waves as lattice_waves
from forcefree.models.card import Card
from forcefree.models.registry import build_model
from forcefree.nn.lattice_mesh import LatticeMesh, mesh_sizes
from forcefree.nn.lattice_waves import LatticeWaves, ReciprocalLattice
from forcefree.state import State

SMEARING = 1.2


def gas(atoms: int, seed: int, *, left_handed: bool = False) -> Atoms:
    rng = np.random.default_rng(seed)
    cell = np.array([[11.0, 0.0, 0.0], [2.0, 10.5, 0.0], [-1.0, 1.5, 12.0]]) * (1.0 + 0.1 * seed)
    cell = cell[[1, 0, 2]] if left_handed else cell
    return Atoms("H" * atoms, positions=3.0 * rng.normal(size=(atoms, 3)) @ cell, cell=cell, pbc=True)


@pytest.fixture
def state() -> State:
    return State.from_atoms([gas(40, 0), gas(60, 1, left_handed=True)])


def test_potential_and_field_are_those_of_the_waves(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    charges = torch.randn(100, 3, generator=generator)
    moved = 0.5 * torch.randn(2, 100, 3, generator=generator)
    lattice = ReciprocalLattice(SMEARING)
    with torch.no_grad():
        waves = lattice(state, torch.float32)
        monkeypatch.setattr(lattice_waves, "LARGE_SYSTEM", 50)
        mesh = lattice(state, torch.float32)
        assert isinstance(waves, LatticeWaves)
        assert isinstance(mesh, LatticeMesh)
        exact = ReciprocalLattice(SMEARING)(state, torch.float64)
        for shift in (None, moved):
            expected = exact.field(charges.double(), None if shift is None else shift.double())
            found = mesh.field(charges, shift).double()
            assert found.shape == expected.shape
            for part in (slice(0, 1), slice(1, 4)):
                error = (found - expected)[:, :, part].std() / expected[:, :, part].std()
                assert float(error) < 2e-5


def test_a_mesh_is_for_large_systems_without_gradients_in_single_precision(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lattice_waves, "LARGE_SYSTEM", 60)
    lattice = ReciprocalLattice(SMEARING)
    assert isinstance(lattice(state, torch.float32), LatticeWaves)
    with torch.no_grad():
        assert isinstance(lattice(state, torch.float64), LatticeWaves)
        assert isinstance(lattice(state, torch.float32), LatticeMesh)
        assert isinstance(lattice(State.from_atoms([gas(59, 0)]), torch.float32), LatticeWaves)
        other = lattice(State.from_atoms([gas(60, 3)]), torch.float32)
    assert isinstance(other, LatticeMesh)
    assert other.sizes == (mesh_sizes(torch.tensor(gas(60, 3).cell.array), SMEARING),)


def test_meshes_are_fine_enough_and_have_small_primes() -> None:
    cell = torch.diag(torch.tensor([10.0, 37.0, 91.3], dtype=torch.float64))
    for size, length in zip(mesh_sizes(cell, SMEARING), cell.diagonal().tolist(), strict=True):
        assert length / size <= 0.36 * SMEARING
        assert size % 2 == 0
        for prime in (2, 3, 5):
            while size % prime == 0:
                size //= prime
        assert size == 1


def test_forecasts_hardly_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"channels": 8, "layers": 1, "refinements": 2, "nodes": 3, "refinement_width": 8, "filter_width": 8, "charges": 2}
    model = build_model(Card(name="c", model="trajcast", options=options, species=[1], t_max=10.0, cutoff=4.0)).eval()
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    state = State.from_atoms([gas(60, 1)])
    state = state.with_(velocities=0.01 * torch.randn(60, 3, generator=generator, dtype=torch.float64))
    ends = []
    for large in (1000, 1):
        monkeypatch.setattr(lattice_waves, "LARGE_SYSTEM", large)
        with torch.inference_mode():
            ends.append(model.propagate(state, 10.0).positions)
    gone = float((ends[0] - state.positions - 10.0 * state.velocities).abs().max())
    assert gone > 1e-3
    assert 0.0 < float((ends[1] - ends[0]).abs().max()) < 1e-4 * gone


def test_another_batch_of_the_same_cells_is_another_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lattice_waves, "LARGE_SYSTEM", 1)
    lattice, charges = ReciprocalLattice(SMEARING), torch.randn(70, 2, generator=torch.Generator().manual_seed(1))
    for sizes in ((30, 40), (40, 30)):
        state = State.from_atoms([gas(size, 0) for size in sizes])
        with torch.no_grad():
            found = lattice(state, torch.float32).field(charges).double()
            expected = lattice(state, torch.float64).field(charges.double())
        assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())


def test_autocast_leaves_the_mesh_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lattice_waves, "LARGE_SYSTEM", 1)
    state, charges = State.from_atoms([gas(40, 0)]), torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        mesh = ReciprocalLattice(SMEARING)(state, torch.float32)
        plain = mesh.field(charges)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(mesh.field(charges), plain)
