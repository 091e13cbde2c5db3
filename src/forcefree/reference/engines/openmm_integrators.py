"""Integrators for OpenMM whose velocities belong to the same moment as the positions."""

from __future__ import annotations

from typing import Any

from forcefree.reference.engines.openmm_library import load_openmm
from forcefree.units import BOLTZMANN, KJ_PER_MOL, PICOSECOND


def velocity_verlet(timestep: float) -> Any:
    """Velocity Verlet; OpenMM's own Verlet integrator keeps velocities half a step behind.

    Args:
        timestep: fs.
    """
    integrator = load_openmm().CustomIntegrator(timestep * PICOSECOND)
    integrator.addUpdateContextState()
    integrator.addComputePerDof("v", "v+0.5*dt*f/m")
    integrator.addComputePerDof("x", "x+dt*v")
    integrator.addComputePerDof("v", "v+0.5*dt*f/m")
    return integrator


def velocity_rescaling(timestep: float, *, temperature: float, freedom: float, decay: float, atoms: int, seed: int) -> Any:
    """Velocity Verlet with CSVR after every step, drawn inside OpenMM; the formula is that of :func:`forcefree.csvr.rescaling_factor`.

    Args:
        timestep: fs.
        temperature: K.
        freedom: Velocity degrees of freedom.
        decay: exp(-time step / relaxation time).
        atoms: How many there are.
        seed: Of OpenMM's random numbers.
    """
    integrator = velocity_verlet(timestep)
    integrator.setRandomNumberSeed(seed)
    half_heat = 0.5 * BOLTZMANN / KJ_PER_MOL * temperature
    for name, value in (("decay", decay), ("halfheat", half_heat), ("kinetic", 0.0), ("normal", 0.0), ("rest", 0.0), ("spread", 0.0)):
        integrator.addGlobalVariable(name, value)
    integrator.addGlobalVariable("factor", 1.0)
    integrator.addPerDofVariable("drawn", 0.0)
    draws = [[float(3 * atom + axis < freedom - 1.0) for axis in range(3)] for atom in range(atoms)]
    integrator.setPerDofVariableByName("drawn", [load_openmm().Vec3(*row) for row in draws])
    integrator.addComputeSum("kinetic", "0.5*m*v*v")
    integrator.addComputeSum("rest", "drawn*gaussian^2")
    integrator.addComputeGlobal("normal", "gaussian")
    integrator.addComputeGlobal("spread", "(1-decay)*halfheat/kinetic")
    integrator.addComputeGlobal(
        "factor",
        "select(step(normal+sqrt(decay/spread)),1,-1)*sqrt(max(0,decay+spread*(normal^2+rest)+2*normal*sqrt(decay*spread)))",
    )
    integrator.addComputePerDof("v", "factor*v")
    return integrator
