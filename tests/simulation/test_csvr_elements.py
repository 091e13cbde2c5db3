"""Rescaling of every element by itself, against what is known of an ideal gas and of leaking oscillators."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy import stats

from forcefree.benchmark.free_flight import FreeFlight
from forcefree.simulation import simulate
from forcefree.simulation.building import build_engine
from forcefree.simulation.engine import Engine
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State
from forcefree.temperature import element_temperatures, freedom_shares
from forcefree.units import BOLTZMANN, KINETIC_UNIT
from oracles import Springs, boxed, boxed_atoms, phantom

WATERS = [8, 1, 1, 8, 1, 1, 6]
GAS = FreeFlight(phantom(species=[1, 6, 7, 8]).card)


def box(numbers: list[int]) -> Atoms:
    rng = np.random.default_rng(len(numbers))
    return Atoms(numbers, positions=rng.uniform(0.0, 30.0, (len(numbers), 3)), cell=[30.0] * 3, pbc=True)


def engine(model: Springs | FreeFlight, structures: list[Atoms], **options: object) -> Engine:
    values = {
        "duration": 1e5, "temperature": 300.0, "guards": False, "propagator": "direct", "interval": 10.0, "thermostat": "csvr-elements",
        "thermostat_time": 20.0, **options,
    }  # fmt: skip
    return build_engine(model, State.from_atoms(structures), SimulationOptions.parse(values, "test"))[0]


def parts(state: State) -> dict[int, torch.Tensor]:
    """Velocities of each element relative to its own centre of mass, of a batch of copies, shape (n_systems, n, 3)."""
    found = {}
    for number in state.numbers.unique().tolist():
        chosen = state.velocities[state.numbers == number].view(state.n_systems, -1, 3)
        found[number] = chosen - chosen.mean(dim=1, keepdim=True)
    return found


def test_an_ideal_gas_stays_canonical_atom_by_atom() -> None:
    gas = engine(GAS, [box(WATERS)] * 2000)
    for _ in range(5):
        gas.step()
    masses = gas.state.masses.view(2000, -1)
    share = 1.0 - masses / masses.sum(dim=1, keepdim=True)
    normal = gas.state.velocities.view(2000, -1, 3) / (BOLTZMANN * 300.0 * share / (KINETIC_UNIT * masses)).sqrt()[:, :, None]
    for atom in range(len(WATERS)):
        for axis in range(3):
            assert stats.kstest(normal[:, atom, axis].numpy(), "norm").pvalue > 1e-4
    for number, inner in parts(gas.state).items():
        mass = float(gas.state.masses[gas.state.numbers == number][0])
        if inner.shape[1] > 1:
            energy = KINETIC_UNIT * mass * inner.square().sum(dim=(1, 2)) / (BOLTZMANN * 300.0)
            assert stats.kstest(energy.numpy(), stats.chi2(3 * inner.shape[1] - 3).cdf).pvalue > 1e-4


def test_every_element_relaxes_by_itself_in_the_relaxation_time() -> None:
    gas = engine(GAS, [box([1] * 8 + [8] * 8)] * 800)
    factor = torch.where(gas.state.numbers == 1, 2.0, 0.5)[:, None]
    gas.state = gas.state.with_(velocities=gas.state.velocities * factor)

    def mean(number: int) -> float:
        return float(parts(gas.state)[number].square().sum(dim=(1, 2)).mean()) * masses[number] / (21.0 * BOLTZMANN * 300.0)

    masses = {number: KINETIC_UNIT * float(gas.state.masses[gas.state.numbers == number][0]) for number in (1, 8)}
    begun = {number: mean(number) - 1.0 for number in (1, 8)}
    assert begun[1] > 2.5
    assert begun[8] < -0.7
    for step in range(1, 6):
        gas.step()
        for number in (1, 8):
            assert mean(number) - 1.0 == pytest.approx(begun[number] * math.exp(-10.0 * step / 20.0), abs=0.09)


def test_it_turns_no_velocity_within_an_element_and_keeps_momentum_exactly() -> None:
    gas = engine(GAS, [box(WATERS), box([7, 7, 7]), box([1, 8, 8, 7])])
    first = gas.state
    for _ in range(6):
        gas.step()
    momentum = gas.state.sum(gas.state.masses[:, None] * gas.state.velocities)
    assert float(momentum.abs().max()) < 1e-14
    changes = []
    for system in range(3):
        for number in first.numbers[first.system == system].unique().tolist():
            chosen = (first.system == system) & (first.numbers == number)
            one, other = (state.velocities[chosen] - state.velocities[chosen].mean(dim=0) for state in (first, gas.state))
            if len(one) > 1:
                factor = float((one * other).sum() / one.square().sum())
                torch.testing.assert_close(other, factor * one, rtol=0.0, atol=1e-14)
                changes.append(factor)
    assert len({round(factor, 6) for factor in changes}) == len(changes) == 4


def test_a_replica_is_the_same_in_every_batch() -> None:
    alone = engine(GAS, [box(WATERS)], first_replica=2, seed=5)
    among = engine(GAS, [box([7, 7, 7]), box([1, 8, 8, 7]), box(WATERS), box([6, 1])], seed=5)
    for _ in range(3):
        alone.step()
        among.step()
    assert torch.equal(among.state.velocities[7:14], alone.state.velocities)


def test_one_element_is_canonical_in_all_its_freedom() -> None:
    gas = engine(GAS, [box([7, 7, 7])] * 2000)
    for _ in range(4):
        gas.step()
    assert stats.kstest((6.0 * gas.temperatures() / 300.0).numpy(), stats.chi2(6).cdf).pvalue > 1e-4


def test_elements_of_many_atoms_stay_warm_in_a_leaking_map_where_one_factor_lets_them_part() -> None:
    """A map that takes heat from fast modes, which are those of hydrogen, and a thermostat that gives it back to all, or to each."""
    apart = {}
    for thermostat in ("csvr", "csvr-elements"):
        leaking = engine(boxed(shrink=0.002), [boxed_atoms()] * 40, thermostat=thermostat, thermostat_time=50.0, interval=20.0)
        found = []
        for _ in range(150):
            leaking.step()
            found.append({name: float(one.mean()) for name, one in element_temperatures(leaking.state, "momentum").items()})
        means = [np.mean([one[name] for one in found[50:]]) for name in ("H", "C")]
        apart[thermostat] = abs(means[0] - means[1])
    assert apart["csvr"] > 60.0
    assert apart["csvr-elements"] < 0.4 * apart["csvr"]


@pytest.mark.parametrize("numbers", [WATERS, [6, 8], [8, 6, 8], [1, 1], [8, 1, 1], [6, 6, 6, 1]])
@pytest.mark.parametrize("rotation", [False, True])
def test_isolated_molecules_are_canonical_whether_they_rotate_or_not(numbers: list[int], rotation: bool) -> None:
    """From a quarter of the heat; every velocity is one draw from the law that the conservation laws leave."""
    molecule = Atoms(numbers, positions=np.random.default_rng(3).uniform(0.0, 4.0, (len(numbers), 3)))
    gas = engine(GAS, [molecule] * 1500, rotation=rotation, thermostat_time=3.0)
    masses = gas.state.masses
    gas.state = gas.state.with_(velocities=0.5 * gas.state.velocities)
    start = gas.state.positions
    for step in range(4):
        gas.state = gas.thermostat.after(gas.state, step)
    momentum = gas.state.sum(masses[:, None] * gas.state.velocities)
    assert float(momentum.abs().max()) < 1e-13
    spin = gas.bodies.angular_momentum(start, gas.state.velocities)
    assert (float(spin.abs().max()) < 1e-12) is not rotation
    kinetic = 2.0 * gas.bodies.kinetic_energy(gas.state.velocities) / (BOLTZMANN * 300.0)
    assert stats.kstest(kinetic.numpy(), stats.chi2(float(gas.freedom[0])).cdf).pvalue > 1e-4
    shares = freedom_shares(gas.state, gas.bodies.conserved).view(1500, -1)
    warm = (KINETIC_UNIT * masses * gas.state.velocities.square().sum(dim=1)).view(1500, -1) / (BOLTZMANN * 300.0)
    for atom in range(len(numbers)):
        assert float(warm[:, atom].mean()) == pytest.approx(float(shares[0, atom]), abs=4.5 * float(warm[:, atom].std()) / 1500**0.5)


def test_a_run_says_which_thermostat_it_had() -> None:
    found = simulate(
        boxed(),
        boxed_atoms(),
        temperature=300.0,
        duration="100 fs",
        interval=10.0,
        propagator="direct",
        thermostat="csvr-elements",
        guards=False,
    )
    assert next(found.trajectories()).provenance["thermostat"] == "csvr-elements"
