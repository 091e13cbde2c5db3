"""A short true trajectory that every format's tests write in their own way, and what a perfect import gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet

from forcefree.data.trajectory import Trajectory

Import = Callable[..., Trajectory]


def run_methanol(frames: int = 40, timestep: float = 0.25, drift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> list[Atoms]:
    """Methanol in a 6 Å triclinic box with EMT, frames ``timestep`` fs apart, drifting with ``drift`` Å/fs."""
    atoms = molecule("CH3OH", cell=[[6.0, 0, 0], [2.0, 6.0, 0], [-1.0, 1.0, 6.5]], pbc=True)
    atoms.positions += (3.0, 3.0, 3.0)
    atoms.calc = EMT()
    MaxwellBoltzmannDistribution(atoms, temperature_K=300.0, rng=np.random.default_rng(5))
    Stationary(atoms)
    atoms.set_velocities(atoms.get_velocities() + np.array(drift) / units.fs)
    dynamics = VelocityVerlet(atoms, timestep * units.fs)
    images = []
    for _ in range(frames):
        image = atoms.copy()
        image.calc = None
        image.info = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        images.append(image)
        dynamics.run(1)
    return images


def as_trajectory(images: list[Atoms], timestep: float = 0.25) -> Trajectory:
    """What a perfect import of ``images`` gives."""
    first = images[0]
    return Trajectory(
        name="run",
        numbers=first.numbers,
        masses=first.get_masses(),
        times=timestep * np.arange(len(images)),
        positions=np.array([image.positions for image in images]),
        velocities=np.array([image.get_velocities() for image in images]) * units.fs,
        energies=np.array([image.info["energy"] for image in images]),
        forces=np.array([image.info["forces"] for image in images]),
        cell=first.cell.array,
        pbc=first.pbc,
    )


def assert_same(found: Trajectory, true: Trajectory, *, forces: bool = True, energies: bool = True, tolerance: float = 1e-9) -> None:
    """Compare everything up to a whole lattice vector per atom of the first frame."""
    np.testing.assert_array_equal(found.numbers, true.numbers)
    np.testing.assert_allclose(found.times, true.times, atol=1e-6)
    np.testing.assert_allclose(found.positions - found.positions[0], true.positions - true.positions[0], atol=max(tolerance, 1e-9))
    assert found.velocities is not None
    assert true.velocities is not None
    np.testing.assert_allclose(found.velocities, true.velocities, atol=tolerance)
    np.testing.assert_allclose(found.cell, true.cell, atol=max(1e-6, tolerance))
    np.testing.assert_array_equal(found.pbc, true.pbc)
    if forces:
        assert found.forces is not None
        assert true.forces is not None
        np.testing.assert_allclose(found.forces, true.forces, atol=max(1e-5, tolerance))
    if energies:
        assert found.energies is not None
        np.testing.assert_allclose(found.energies, true.energies, atol=max(1e-8, tolerance))
