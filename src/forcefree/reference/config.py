"""What ``forcefree reference`` is told: potential, start, temperatures, and how to equilibrate and record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from forcefree.settings import Duration, Settings

LONGEST_TIMESTEP = 20.0
"""fs; more is a mix-up of units."""

NATIVE = ("lammps", "openmm")
"""Calculators that run their own dynamics."""


class CalculatorConfig(Settings):
    """A potential: an ASE calculator, built in by name or any other by import path, or a program that integrates by itself."""

    name: str = "gfn2-xtb"
    """``gfn2-xtb``, ``gfn1-xtb``, ``lennard-jones``, ``emt``, ``sgdml``, an import path such as ``mace.calculators:MACECalculator``,
    or ``lammps`` or ``openmm``, which run their own dynamics natively."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments for the calculator (for ``sgdml``: ``model``, the path of its npz file); those of ``lammps`` and
    ``openmm`` are listed below."""

    @property
    def native(self) -> bool:
        """Whether a program integrates by itself instead of ASE."""
        return self.name.lower() in NATIVE

    @property
    def level_of_theory(self) -> str:
        """What the potential is called in stores, model cards and reports."""
        return str(self.options.get("theory", self.name)) if self.native else self.name


class StartConfig(Settings):
    """One start structure; exactly one of the three sources."""

    file: Path | None = None
    """Any file that ASE reads; its last frame is taken."""

    name: str | None = None
    """A bundled start such as ``ethanol``, or a molecule of ASE's G2 collection such as ``CH3CH2OH``."""

    smiles: str | None = None
    """A SMILES string, embedded in 3-D by RDKit (needs the ``rdkit`` extra)."""

    @model_validator(mode="after")
    def _one_source(self) -> StartConfig:
        given = [key for key in ("file", "name", "smiles") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of file, name or smiles, not {', '.join(given) or 'none'}")
        return self

    @property
    def label(self) -> str:
        """What the molecule is called in the store: the name, the SMILES or the stem of the file."""
        return self.name or self.smiles or (self.file.stem if self.file is not None else "")


class EquilibrationConfig(Settings):
    """Langevin dynamics that brings each run to its temperature."""

    duration: Duration = 1000.0
    """How long, in fs."""

    friction_time: Duration = 50.0
    """Inverse friction of the Langevin thermostat, in fs."""


class RecordingConfig(Settings):
    """The part of each run that is kept."""

    ensemble: Literal["nve", "nvt"] = "nve"
    """``nve`` (velocity Verlet) or ``nvt`` (velocity Verlet with CSVR velocity rescaling)."""

    duration: Duration = 5000.0
    """Length of the recorded part, in fs."""

    every: Duration = 1.0
    """Time between recorded frames in fs, a multiple of the time step."""

    thermostat_time: Duration = 100.0
    """Relaxation time of CSVR in fs (``nvt`` only)."""

    forces: bool = True
    """Keep the forces too."""

    @model_validator(mode="after")
    def _used(self) -> RecordingConfig:
        usual = type(self).model_fields["thermostat_time"].default
        if self.ensemble == "nve" and self.thermostat_time != usual:  # a stored configuration says the usual time, whatever the ensemble
            raise ValueError(
                f"thermostat_time ({self.thermostat_time:g} fs) is for ensemble nvt, and an nve recording has no thermostat; leave it out"
            )
        return self


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


class ReferenceConfig(Settings):
    """Many independent runs of reference molecular dynamics."""

    calculator: CalculatorConfig = CalculatorConfig()
    """Potential that the reference trajectories follow."""

    start: Annotated[list[StartConfig], BeforeValidator(_as_list)] = Field(min_length=1)
    """Structure that runs start from, or a list of structures, each of which gets all runs."""

    temperatures: list[float] = Field(min_length=1)
    """K; each gets ``runs_per_temperature`` runs."""

    runs_per_temperature: int = Field(default=4, ge=1)
    """Independent runs at each temperature; each has random numbers of its own."""

    timestep: Duration = 0.5
    """Of the integrator, in fs."""

    equilibration: EquilibrationConfig = EquilibrationConfig()
    """Before each run is recorded."""

    recording: RecordingConfig = RecordingConfig()
    """What of each run is kept."""

    rotation: bool = True
    """Let isolated molecules rotate; a forecaster that never saw rotation never learns it."""

    minimize: bool = True
    """Relax the start structure before the first step."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of all random numbers; another seed makes other, independent runs."""

    workers: int = Field(default=1, ge=1)
    """Processes side by side, each with one BLAS thread."""

    output: Path
    """H5MD file to make (``.h5``, ``.hdf5`` or ``.h5md``), relative to the folder that the command is run in."""

    @model_validator(mode="after")
    def _consistent(self) -> ReferenceConfig:
        if any(not 0.0 < value < 1.0e5 for value in self.temperatures):
            raise ValueError(f"temperatures must lie between 0 and 100000 K, not {self.temperatures}")
        if self.timestep > LONGEST_TIMESTEP:
            raise ValueError(
                f"timestep is {self.timestep:g} fs, longer than any reference stays stable; at most {LONGEST_TIMESTEP:g} fs, often 0.5 fs"
            )
        labels = [start.label for start in self.start]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise ValueError(f"start lists '{twice}' twice; name each structure once")
        steps = self.recording.every / self.timestep
        if abs(steps - round(steps)) > 1e-6 or round(steps) < 1:
            raise ValueError(f"recording.every ({self.recording.every:g} fs) must be a multiple of timestep ({self.timestep:g} fs)")
        if self.recording.duration < self.recording.every * (1.0 - 1e-6):
            raise ValueError(
                f"recording.duration ({self.recording.duration:g} fs) must be at least recording.every ({self.recording.every:g} fs)"
            )
        return self

    @property
    def steps_per_frame(self) -> int:
        """Integrator steps between recorded frames."""
        return round(self.recording.every / self.timestep)

    @property
    def equilibration_steps(self) -> int:
        """Integrator steps before the first recorded frame."""
        return round(self.equilibration.duration / self.timestep)

    @property
    def frames_per_run(self) -> int:
        """Recorded frames of one run, the first at time zero."""
        return round(self.recording.duration / self.recording.every) + 1
