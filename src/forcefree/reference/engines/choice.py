"""Which engine a configuration asks for."""

from __future__ import annotations

from ase import Atoms

from forcefree.reference.config import ReferenceConfig
from forcefree.reference.engines.engine import Engine


def build_engine(config: ReferenceConfig, start: Atoms) -> Engine:
    """The engine that the calculator's name asks for: LAMMPS or OpenMM by their names, ASE for every other.

    Args:
        config: The whole configuration.
        start: Structure that the dynamics is of; its bonds, where the potential has any, are those of this structure.

    Raises:
        ForcefreeError: If the program is not installed, or refuses its options or the structure.
    """
    name = config.calculator.name.lower()
    if name == "lammps":
        from forcefree.reference.engines.lammps_engine import LammpsEngine

        return LammpsEngine(config, start)
    if name == "openmm":
        from forcefree.reference.engines.openmm_engine import OpenmmEngine

        return OpenmmEngine(config, start)
    from forcefree.reference.engines.ase_engine import AseEngine

    return AseEngine(config, start)
