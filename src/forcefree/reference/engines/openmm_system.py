"""OpenMM systems: built from a force field or read, with the masses and the cell of a structure."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from ase import Atoms

from forcefree.errors import ForcefreeError
from forcefree.reference.engines.lower_cell import LowerCell
from forcefree.reference.engines.openmm_library import load_openmm
from forcefree.reference.engines.openmm_options import OpenmmOptions
from forcefree.units import NANOMETRE


def build_system(options: OpenmmOptions, atoms: Atoms) -> Any:
    """An OpenMM ``System`` of a structure, every atom free to move with the structure's mass.

    Raises:
        ForcefreeError: If OpenMM is missing, a file cannot be read, the force field does not know the topology, or the system has
            other atoms or other boundaries than the structure, holds atoms by constraints, or brings a thermostat or a barostat.
    """
    openmm = load_openmm()
    periodic = bool(atoms.pbc.all())
    if bool(atoms.pbc.any()) and not periodic:
        raise ForcefreeError(f"openmm takes systems that are periodic in all directions or in none, not {atoms.pbc.tolist()}")
    system = openmm.XmlSerializer.clone(_system(options.model_dump_json(), periodic))
    if system.getNumParticles() != len(atoms):
        raise ForcefreeError(f"the OpenMM system has {system.getNumParticles()} particles, but the structure has {len(atoms)} atoms")
    held = system.getNumConstraints() + sum(system.isVirtualSite(index) for index in range(len(atoms)))
    if held:
        raise ForcefreeError(
            f"the OpenMM system has {held} constraints or virtual sites; every atom moves freely here, so build it flexible"
        )
    _keep_the_potential_only(system)
    if system.getNumForces() and system.usesPeriodicBoundaryConditions() != periodic:
        words = {True: "periodic", False: "not periodic"}
        raise ForcefreeError(
            f"the OpenMM system is {words[not periodic]}, but the structure is {words[periodic]}; give the structure the boundary of the system"
        )
    for index, mass in enumerate(atoms.get_masses()):
        system.setParticleMass(index, float(mass))
    if periodic:
        system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in (LowerCell.of(atoms.cell.array).matrix * NANOMETRE).tolist()))
    return system


def _keep_the_potential_only(system: Any) -> None:
    """Remove what would take away the momentum behind the integrator's back, and refuse what would couple to a bath.

    Raises:
        ForcefreeError: Naming a barostat or thermostat of the system.
    """
    for index in reversed(range(system.getNumForces())):
        name = type(system.getForce(index)).__name__
        if name.endswith(("Barostat", "Thermostat")):
            raise ForcefreeError(f"the OpenMM system has a {name}; remove it, forcefree keeps the cell and has thermostats of its own")
        if name == "CMMotionRemover":
            system.removeForce(index)


@lru_cache(maxsize=8)
def _system(options_json: str, periodic: bool) -> Any:
    """The system of some options; reading a force field takes a second, and every checkpoint asks for it again."""
    options = OpenmmOptions.model_validate_json(options_json)
    openmm = load_openmm()
    try:
        if options.system is not None:
            return openmm.XmlSerializer.deserialize(options.system.read_text())
        topology = openmm.app.PDBFile(str(options.topology)).topology
        methods = {True: openmm.app.PME, False: openmm.app.NoCutoff}
        return openmm.app.ForceField(*options.force_field).createSystem(
            topology,
            nonbondedMethod=methods[periodic],
            nonbondedCutoff=options.cutoff * NANOMETRE,
            constraints=None,
            rigidWater=False,
            removeCMMotion=False,
        )
    except Exception as error:  # OpenMM raises bare exceptions for whatever it does not understand
        reason = " ".join(str(error).split())
        raise ForcefreeError(f"OpenMM cannot build the system of {options.system or options.topology}: {reason}") from error


def check_elements(options: OpenmmOptions, atoms: Atoms) -> None:
    """Compare the elements of a topology file with those of the structure.

    Raises:
        ForcefreeError: Naming the first atom that differs.
    """
    if options.topology is None:
        return
    for index, (wanted, found) in enumerate(zip(_elements(options.topology), atoms.symbols, strict=True)):
        if wanted != found:
            raise ForcefreeError(f"atom {index} is {wanted} in {options.topology}, but {found} in the start structure; use one order")


@lru_cache(maxsize=8)
def _elements(topology: Path) -> list[str]:
    return [atom.element.symbol for atom in load_openmm().app.PDBFile(str(topology)).topology.atoms()]
