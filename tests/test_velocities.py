"""Start velocities: canonical in the space that conservation laws leave, replica by replica."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy import stats

from forcefree.errors import ForcefreeError
from forcefree.nn.conservation import angular_momentum
from forcefree.state import State
from forcefree.streams import Streams
from forcefree.temperature import Conserved, degrees_of_freedom, kinetic_energy, kinetic_temperature
from forcefree.units import BOLTZMANN
from forcefree.velocities import allowed, maxwell_boltzmann, thermal_spread


def _ethanols(copies: int) -> State:
    return State.from_atoms([molecule("CH3CH2OH")]).repeat(copies)


def _turning(state: State) -> torch.Tensor:
    return angular_momentum(state, state.positions[None], state.velocities[None])[0]


@pytest.mark.parametrize("conserved", ["nothing", "momentum", "momentum and rotation"])
def test_kinetic_energies_follow_the_gamma_distribution(conserved: Conserved) -> None:
    batch = _ethanols(3000)

    drawn = maxwell_boltzmann(batch, 300.0, Streams(1, range(3000)), conserved)

    freedom = float(degrees_of_freedom(batch, conserved)[0])
    reduced = 2.0 * kinetic_energy(drawn, conserved) / (BOLTZMANN * 300.0)
    assert stats.kstest(reduced.numpy(), stats.chi2(freedom).cdf).pvalue > 1e-4


def test_components_of_a_free_atom_are_maxwell_boltzmann() -> None:
    batch = State.from_atoms([Atoms("Ar")]).repeat(3000)

    drawn = maxwell_boltzmann(batch, 120.0, Streams(2, range(3000)), "nothing")

    assert stats.kstest((drawn.velocities / thermal_spread(batch, 120.0)).flatten().numpy(), "norm").pvalue > 1e-4
    assert float(kinetic_temperature(drawn, "nothing").mean()) == pytest.approx(120.0, rel=0.05)


def test_what_is_conserved_starts_at_zero() -> None:
    periodic = molecule("CH3CH2OH")
    periodic.set_cell([9.0] * 3)
    periodic.pbc = True
    batch = State.from_atoms([molecule("CH3CH2OH"), molecule("CO2"), periodic])

    drawn = maxwell_boltzmann(batch, 500.0, Streams(0, range(3)), "momentum and rotation")

    assert float(drawn.mean_by_mass(drawn.velocities).abs().max()) < 1e-16
    turning = _turning(drawn)
    assert float(turning[:2].abs().max()) < 1e-13
    assert float(turning[2].abs().max()) > 1e-3


def test_a_replica_starts_alike_in_every_batch() -> None:
    many = maxwell_boltzmann(_ethanols(6), 300.0, Streams(9, range(6)), "momentum and rotation")
    alone = maxwell_boltzmann(_ethanols(1), 300.0, Streams(9, [4]), "momentum and rotation")

    assert torch.equal(many.velocities.view(6, 9, 3)[4], alone.velocities)


def test_the_projection_is_orthogonal_in_the_metric_of_the_masses() -> None:
    batch = _ethanols(2)
    rng = np.random.default_rng(0)
    vectors, others = (torch.tensor(rng.normal(size=(18, 3))) for _ in range(2))

    kept = allowed(batch, vectors, "momentum and rotation")

    torch.testing.assert_close(allowed(batch, kept, "momentum and rotation"), kept, rtol=0.0, atol=1e-13)
    left = (batch.masses[:, None] * (vectors - kept) * allowed(batch, others, "momentum and rotation")).sum()
    assert abs(float(left)) < 1e-11


def test_zero_kelvin_is_at_rest() -> None:
    drawn = maxwell_boltzmann(_ethanols(1), 0.0, Streams(0, [0]), "momentum")

    assert not bool(drawn.velocities.any())


@pytest.mark.parametrize("temperature", [-1.0, 1e6, float("nan")])
def test_impossible_temperatures_are_refused_in_one_sentence(temperature: float) -> None:
    with pytest.raises(ForcefreeError, match="a temperature must lie between 0 and 100000 K"):
        maxwell_boltzmann(_ethanols(1), temperature, Streams(0, [0]), "momentum")


def test_an_atom_without_freedom_is_refused_in_one_sentence() -> None:
    with pytest.raises(ForcefreeError, match="1 atom has no degree of freedom left"):
        maxwell_boltzmann(State.from_atoms([Atoms("Ar")]), 100.0, Streams(0, [0]), "momentum")
