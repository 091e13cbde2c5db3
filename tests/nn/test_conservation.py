"""Angular momentum is measured as ASE does, and restored without touching anything else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from torch import Tensor

from forcefree.nn.conservation import angular_momentum, inertia_tensor, restore_angular_momentum
from forcefree.state import State


def _moving(*molecules: Atoms, seed: int = 0) -> State:
    state = State.from_atoms(list(molecules))
    generator = torch.Generator().manual_seed(seed)
    return state.with_(velocities=0.01 * torch.randn(state.n_atoms, 3, generator=generator, dtype=torch.float64))


def _kick(state: State, frames: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return state.velocities + 0.005 * torch.randn(frames, state.n_atoms, 3, generator=generator, dtype=torch.float64)


def _momentum(state: State, velocities: Tensor) -> Tensor:
    return torch.stack([state.sum(state.masses[:, None] * frame) for frame in velocities])


def test_angular_momentum_and_inertia_agree_with_ase() -> None:
    state = _moving(molecule("CH3CH2OH"), molecule("H2O"))
    measured = angular_momentum(state, state.positions[None], state.velocities[None])[0]
    tensors = inertia_tensor(state, state.positions[None])[0]
    for index, atoms in enumerate(state.to_atoms()):
        still = atoms.copy()
        still.set_momenta(atoms.get_momenta() - atoms.get_masses()[:, None] * atoms.get_momenta().sum(0) / atoms.get_masses().sum())
        np.testing.assert_allclose(measured[index], still.get_angular_momentum() * units.fs, atol=1e-12)
        np.testing.assert_allclose(torch.linalg.eigvalsh(tensors[index]), np.sort(atoms.get_moments_of_inertia()), atol=1e-9)


def test_a_uniform_velocity_and_the_origin_change_nothing() -> None:
    state = _moving(molecule("CH3CH2OH"))
    here = angular_momentum(state, state.positions[None], state.velocities[None])
    shift, boost = torch.tensor([100.0, -50.0, 3.0]), torch.tensor([1.0, 2.0, -3.0])
    there = angular_momentum(state, state.positions[None] + shift, state.velocities[None] + boost)
    torch.testing.assert_close(there, here, atol=1e-11, rtol=0.0)


def test_what_was_lost_is_put_back_and_momentum_stays() -> None:
    state = _moving(molecule("CH3CH2OH"), molecule("H2O"), molecule("NH3"))
    positions = state.positions + 0.1 * _kick(state)
    kicked = _kick(state)
    restored = restore_angular_momentum(state, positions, kicked)
    target = angular_momentum(state, state.positions[None], state.velocities[None]).expand(2, -1, -1)
    torch.testing.assert_close(angular_momentum(state, positions, restored), target, atol=1e-12, rtol=0.0)
    torch.testing.assert_close(_momentum(state, restored), _momentum(state, kicked), atol=1e-12, rtol=0.0)


def test_the_correction_is_the_smallest_in_kinetic_energy() -> None:
    """The rigid rotation is orthogonal, by mass, to every velocity field without angular momentum."""
    state = _moving(molecule("CH3CH2OH"))
    kicked = _kick(state, 1)
    still = torch.zeros(1, 3, dtype=torch.float64)
    removed = kicked - restore_angular_momentum(state, state.positions[None], kicked, still)
    silent = restore_angular_momentum(state, state.positions[None], _kick(_moving(molecule("CH3CH2OH"), seed=4), 1), still)
    silent = silent - state.mean_by_mass(silent[0])
    overlap = (state.masses[:, None] * removed[0] * silent[0]).sum()
    assert abs(float(overlap)) < 1e-12


def test_a_target_of_zero_stops_rotation() -> None:
    state = _moving(molecule("H2O"))
    stopped = restore_angular_momentum(state, state.positions[None], state.velocities[None], torch.zeros(1, 3, dtype=torch.float64))
    assert float(angular_momentum(state, state.positions[None], stopped).abs().max()) < 1e-13


def test_periodic_systems_are_never_touched() -> None:
    crystal = bulk("Si", cubic=True)
    state = _moving(crystal)
    kicked = _kick(state)
    assert restore_angular_momentum(state, state.positions.expand(2, -1, -1), kicked) is kicked
    mixed = _moving(molecule("H2O"), crystal)
    kicked = _kick(mixed)
    restored = restore_angular_momentum(mixed, mixed.positions.expand(2, -1, -1), kicked)
    assert torch.equal(restored[:, 3:], kicked[:, 3:])
    assert not torch.equal(restored[:, :3], kicked[:, :3])


@pytest.mark.parametrize("name", ["N2", "CO2", "C2H2"])
def test_a_linear_molecule_is_restored_about_the_axes_it_has(name: str) -> None:
    state = _moving(molecule(name))
    kicked = _kick(state, 1)
    restored = restore_angular_momentum(state, state.positions[None], kicked)
    target = angular_momentum(state, state.positions[None], state.velocities[None])
    assert bool(restored.isfinite().all())
    torch.testing.assert_close(angular_momentum(state, state.positions[None], restored), target, atol=1e-9, rtol=0.0)


def test_a_single_atom_flies_on() -> None:
    state = _moving(Atoms("Ar"))
    torch.testing.assert_close(restore_angular_momentum(state, state.positions[None], state.velocities[None])[0], state.velocities)


def test_no_system_feels_the_others_of_its_batch() -> None:
    names = ["CH3CH2OH", "N2", "H2O"]
    batch = _moving(*(molecule(name) for name in names))
    kicked = _kick(batch, 1)
    together = restore_angular_momentum(batch, batch.positions[None], kicked)
    for index in range(3):
        chosen = torch.zeros(3, dtype=torch.bool)
        chosen[index] = True
        alone, atoms = batch.select(chosen), batch.system == index
        torch.testing.assert_close(
            restore_angular_momentum(alone, alone.positions[None], kicked[:, atoms]), together[:, atoms], atol=1e-14, rtol=0.0
        )


def test_gradients_flow_through_the_restoration() -> None:
    state = _moving(molecule("H2O"))
    velocities = _kick(state, 1).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda v: restore_angular_momentum(state, state.positions[None], v), velocities)
