"""An ASE script with forecasts instead of forces: only the dynamics class differs from one with Langevin."""

from __future__ import annotations

from ase.build import molecule

from forcefree.simulation import ForecastDynamics

atoms = molecule("CH3CH2OH")
dynamics = ForecastDynamics(atoms, "trajcast-ethanol", ensemble="nvt", temperature=300, trajectory="ethanol.traj", logfile="-")
dynamics.run(100)
