"""Options of the calculator ``openmm``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from forcefree.settings import Settings


class OpenmmOptions(Settings):
    """A force field for a topology, or a whole system that OpenMM has written."""

    topology: Path | None = None
    """PDB file whose atom and residue names the force field knows, with the atoms in the order of the start structure."""

    force_field: list[str] = Field(default_factory=list)
    """Force-field files of OpenMM or of one's own, such as ``amber14/protein.ff14SB.xml`` and ``implicit/obc2.xml``."""

    system: Path | None = None
    """XML file of a system that ``openmm.XmlSerializer`` wrote, in place of ``topology`` and ``force_field``."""

    cutoff: float = Field(default=9.0, gt=0.0)
    """Å, of nonbonded forces in periodic systems, with particle-mesh Ewald beyond; isolated ones have no cutoff (force fields only)."""

    platform: Literal["Reference", "CPU", "CUDA", "HIP", "OpenCL"] = "Reference"
    """OpenMM platform. ``Reference`` works in double precision throughout; the others are for large systems."""

    theory: str = "openmm"
    """Name of the potential in stores, model cards and reports, such as ``Amber ff14SB``."""

    @model_validator(mode="after")
    def _one_source(self) -> OpenmmOptions:
        if (self.system is None) == (self.topology is None or not self.force_field):
            raise ValueError("give either system, or topology and force_field")
        return self
