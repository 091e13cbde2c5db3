"""Systems that OpenMM has written: only their potential is taken, and only for structures with the same boundary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from forcefree.errors import ForcefreeError
from forcefree.reference.engines.openmm_options import OpenmmOptions
from forcefree.reference.engines.openmm_system import build_system

openmm = pytest.importorskip("openmm")


def _written(folder: Path, *forces: Any, atoms: int = 2) -> OpenmmOptions:
    system = openmm.System()
    for _ in range(atoms):
        system.addParticle(1.0)
    for force in forces:
        system.addForce(force)
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    return OpenmmOptions(system=folder / "system.xml")


def _argon(*, periodic: bool) -> Any:
    force = openmm.NonbondedForce()
    for _ in range(2):
        force.addParticle(0.0, 0.34, 1.0)
    force.setNonbondedMethod(force.CutoffPeriodic if periodic else force.NoCutoff)
    return force


@pytest.mark.parametrize(("system", "structure"), [(True, False), (False, True)])
def test_a_system_of_another_boundary_than_the_structure_is_refused(tmp_path: Path, system: bool, structure: bool) -> None:
    atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, 4]], cell=np.diag([30.0, 30.0, 30.0]), pbc=structure)
    words = {True: "periodic", False: "not periodic"}
    options = _written(tmp_path, _argon(periodic=system))
    with pytest.raises(ForcefreeError, match=f"the OpenMM system is {words[system]}, but the structure is {words[structure]}"):
        build_system(options, atoms)
    atoms.pbc = system
    assert build_system(options, atoms).getNumForces() == 1


def test_a_system_without_forces_suits_every_boundary(tmp_path: Path) -> None:
    for periodic in (True, False):
        build_system(_written(tmp_path), Atoms("Ar2", [[0, 0, 0], [0, 0, 4]], cell=[30, 30, 30], pbc=periodic))


def test_baths_are_refused_and_what_stops_the_centre_of_mass_is_taken_out(tmp_path: Path) -> None:
    atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, 4]], cell=[30, 30, 30], pbc=True)
    for number, bath in enumerate((openmm.MonteCarloBarostat(1.0, 300.0), openmm.AndersenThermostat(300.0, 1.0))):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(ForcefreeError, match=f"the OpenMM system has a {type(bath).__name__}; remove it"):
            build_system(_written(tmp_path / str(number), _argon(periodic=True), bath), atoms)
    system = build_system(_written(tmp_path, openmm.CMMotionRemover(), _argon(periodic=True), openmm.CMMotionRemover()), atoms)
    assert [type(force).__name__ for force in system.getForces()] == ["NonbondedForce"]
