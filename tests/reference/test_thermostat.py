"""Degrees of freedom and velocity rescaling of reference runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from forcefree.errors import ForcefreeError
from forcefree.reference.config import ReferenceConfig
from forcefree.reference.thermostat import Rescaling, conserved_by, count_freedom
from forcefree.units import BOLTZMANN

MakeConfig = Callable[..., ReferenceConfig]


@pytest.mark.parametrize(
    ("atoms", "rotation", "freedom"),
    [
        (molecule("CH3CH2OH"), True, 24),
        (molecule("CH3CH2OH"), False, 21),
        (molecule("N2"), False, 1),
        (molecule("CO2"), False, 3),
        (bulk("Si", cubic=True), True, 21),
        (bulk("Si", cubic=True), False, 21),
    ],
)
def test_only_what_carries_heat_is_counted(make_config: MakeConfig, atoms: Atoms, rotation: bool, freedom: int) -> None:
    assert count_freedom(atoms, make_config(rotation=rotation)) == freedom
    assert conserved_by(make_config(rotation=rotation)) == ("momentum" if rotation else "momentum and rotation")


def test_a_single_atom_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(ForcefreeError, match="a system of 1 atom has no degree of freedom left"):
        count_freedom(Atoms("Ar"), make_config())


@pytest.mark.parametrize("name", ["N2", "CH4"])
def test_rescaling_alone_samples_the_canonical_kinetic_energy(make_config: MakeConfig, name: str) -> None:
    atoms = molecule(name)
    config = make_config(timestep=1.0, recording={"ensemble": "nvt", "thermostat_time": 1.0}, rotation=False)
    rng = np.random.default_rng(5)
    MaxwellBoltzmannDistribution(atoms, temperature_K=300.0, rng=rng)
    thermostat = Rescaling.of(config, 400.0, atoms, rng)
    samples = []
    for _ in range(4000):
        thermostat.apply(atoms)
        samples.append(atoms.get_kinetic_energy())
    kinetic = 2.0 * np.array(samples[10:]) / (BOLTZMANN * 400.0)
    freedom = thermostat.freedom
    error = np.sqrt(2.0 * freedom * (1.0 + thermostat.decay) / (1.0 - thermostat.decay) / len(kinetic))
    assert kinetic.mean() == pytest.approx(freedom, abs=4.0 * error)
    assert kinetic.var() == pytest.approx(2.0 * freedom, rel=0.25)
