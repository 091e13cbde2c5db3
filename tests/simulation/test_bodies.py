"""The engine's fast mechanics against the plain functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from forcefree.nn.conservation import angular_momentum, restore_angular_momentum
from forcefree.simulation.bodies import Bodies
from forcefree.state import State
from forcefree.temperature import Conserved, kinetic_energy
from forcefree.velocities import allowed


def _mixed() -> State:
    boxed = molecule("CH4")
    boxed.set_cell([9.0] * 3)
    boxed.pbc = True
    state = State.from_atoms([molecule("CH3CH2OH"), boxed, molecule("CO2"), Atoms("Ar"), molecule("H2O")])
    rng = np.random.default_rng(3)
    return state.with_(velocities=torch.tensor(rng.normal(size=(state.n_atoms, 3))) * 0.02)


def test_angular_momentum_is_the_plain_one() -> None:
    state = _mixed()

    fast = Bodies(state, "momentum").angular_momentum(state.positions, state.velocities)

    torch.testing.assert_close(fast, angular_momentum(state, state.positions[None], state.velocities[None])[0], rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("still", [True, False])
def test_restoring_rotation_is_the_plain_one(still: bool) -> None:
    state = _mixed()
    target = None if still else torch.tensor(np.random.default_rng(0).normal(size=(state.n_systems, 3)))

    fast = Bodies(state, "momentum").turned(state.positions, state.velocities, target)

    wanted = torch.zeros(state.n_systems, 3, dtype=torch.float64) if target is None else target
    plain = restore_angular_momentum(state, state.positions[None], state.velocities[None], wanted)[0]
    torch.testing.assert_close(fast, plain, rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("conserved", ["nothing", "momentum", "momentum and rotation"])
def test_kinetic_energy_and_projection_are_the_plain_ones(conserved: Conserved) -> None:
    state = _mixed()
    bodies = Bodies(state, conserved)

    torch.testing.assert_close(bodies.kinetic_energy(state.velocities), kinetic_energy(state, conserved), rtol=1e-12, atol=1e-14)
    fast = bodies.allowed(state.positions, state.velocities)
    torch.testing.assert_close(fast, allowed(state, state.velocities, conserved), rtol=0.0, atol=1e-12)


def test_a_new_geometry_is_looked_at_anew() -> None:
    state = _mixed()
    bodies = Bodies(state, "momentum")
    bodies.turned(state.positions, state.velocities, None)
    wider = 1.1 * state.positions

    again = bodies.turned(wider, state.velocities, None)

    left = angular_momentum(state, wider[None], again[None])[0][state.isolated]
    assert float(left.abs().max()) < 1e-12


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0])
def test_a_broken_system_changes_no_bit_of_another(bad: float) -> None:
    state = State.from_atoms([molecule("CH3CH2OH")]).repeat(3)
    state = state.with_(velocities=torch.tensor(np.random.default_rng(3).normal(size=(27, 3))) * 0.02)
    positions = state.positions.clone()
    positions[9:18] = bad

    with_it = Bodies(state, "momentum and rotation").allowed(positions, state.velocities)
    without = Bodies(state, "momentum and rotation").allowed(state.positions, state.velocities)
    plain = restore_angular_momentum(state, positions[None], state.velocities[None], torch.zeros(3, 3, dtype=torch.float64))[0]
    plain_without = restore_angular_momentum(state, state.positions[None], state.velocities[None], torch.zeros(3, 3, dtype=torch.float64))[
        0
    ]

    others = [*range(9), *range(18, 27)]
    assert torch.equal(with_it[others], without[others])
    assert torch.equal(plain[others], plain_without[others])
