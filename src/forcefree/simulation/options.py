"""What a simulation is told; validated once, stored with its output, and compared when a run is continued."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from forcefree.settings import Duration, DurationOrNone, Settings
from forcefree.simulation.choice import PropagatorName
from forcefree.simulation.schedule import Schedule
from forcefree.simulation.thermostats import ThermostatName
from forcefree.temperature import Conserved

Ensemble = Literal["nve", "nvt"]
StartVelocities = Literal["maxwell-boltzmann", "start"]


class SimulationOptions(Settings):
    """Options of ``forcefree simulate`` and :func:`forcefree.simulation.simulate`."""

    ensemble: Ensemble = "nvt"
    """``nve`` leaves the dynamics alone once it is equilibrated; ``nvt`` keeps a thermostat."""

    temperature: float | None = None
    """K; needed for ``nvt``, and for ``nve`` unless the start has velocities."""

    duration: Duration
    """Recorded time per replica, in fs."""

    equilibration: DurationOrNone = 0.0
    """Time before that is not recorded, in fs; where there is a temperature the thermostat acts meanwhile, in ``nve`` too."""

    replicas: int = Field(default=1, ge=1)
    """Copies of the start (of each, where there are several), each with velocities and random numbers of its own."""

    first_replica: int = Field(default=0, ge=0)
    """Number of the first replica; replica n is the same in every batch, in crystals and liquids to rounding."""

    velocities: StartVelocities | None = None
    """Drawn at the temperature (``maxwell-boltzmann``), or those of the start (``start``: of a trajectory those of its last frame); drawn
    where there is a temperature when not given."""

    rotation: bool | None = None
    """Let isolated molecules rotate; only with the velocities of the start when not given."""

    thermostat: ThermostatName = "csvr"
    """``csvr-elements`` acts on each element by itself. Not for ``nve``, unless it is equilibrated at a temperature."""

    thermostat_time: Duration = 1000.0
    """Relaxation time of CSVR, inverse friction of Langevin, in fs."""

    propagator: PropagatorName = "auto"
    interval: Duration | None = None
    """Length of a step in fs; the model's recommendation when not given."""

    corrections: int | None = None
    """Of the reversible propagator; the model's recommendation when not given."""

    tolerance: float | None = Field(default=None, gt=0.0)
    """Largest change of the total energy in a step, in meV per degree of freedom, by the model's energy head; a step beyond it is
    done again as two of half the length, each of which has the whole tolerance again. Steps are not checked when not given."""

    halvings: int | None = Field(default=None, ge=1, le=8)
    """How often a step may be halved for the tolerance, 3 times when not given; the shortest step is taken as it is."""

    keep_energy: bool | None = None
    """Scale velocities after every step so that the dynamics keeps the total energy, by the model's energy head; a thermostat acts
    after that. The model's recommendation for its propagator when not given."""

    bootstrap: str | None = None
    """Who makes the first frames of a model that needs several, from a start of one: a model, or ``reference``."""

    save_every: Duration | None = None
    """Time between recorded frames in fs, a multiple or a divisor of the step and no longer than the duration; about 100 fs when
    not given."""

    log_every: Duration | None = None
    """Time between rows of the CSV log in fs; a thousandth of the duration when not given, but ten steps at least."""

    guards: bool = True
    """Stop replicas that leave the world that the model was trained in."""

    compile: bool | None = None
    """Run forecasts as compiled code: half a minute at the start, or a whole one for crystals and liquids, then about twice as
    fast. By default where it can be done and the run is long enough to gain by it. Needs a C++ compiler on a CPU."""

    seed: int = Field(default=0, ge=0)
    device: str = "cpu"

    @model_validator(mode="after")
    def _consistent(self) -> SimulationOptions:
        if self.temperature is not None and not 0.0 < self.temperature < 1.0e5:
            raise ValueError(f"temperature must lie between 0 and 100000 K, not {self.temperature:g} K")
        if self.temperature is None and self.ensemble == "nvt":
            raise ValueError("ensemble nvt needs a temperature in K, such as 300")
        if self.temperature is None and self.velocities == "maxwell-boltzmann":
            raise ValueError("velocities can only be drawn at a temperature in K, such as 300")
        chosen = {"thermostat": self.thermostat, "thermostat_time": f"{self.thermostat_time:g} fs"}
        idle = [f"{name} ({value})" for name, value in chosen.items() if name in self.model_fields_set]
        if idle and not self.thermostatted:
            raise ValueError(
                f"a thermostat acts in nve only while it equilibrates at a temperature, so {' and '.join(idle)} would change nothing; "
                "leave it out, or give equilibration, such as 5ps, and temperature"
            )
        if self.halvings is not None and self.tolerance is None:
            raise ValueError(f"halvings ({self.halvings}) belong to a tolerance in meV per degree of freedom, such as 5; give one too")
        return self

    @property
    def thermostatted(self) -> bool:
        """Whether a thermostat acts, for the whole run or while it is equilibrated."""
        return self.temperature is not None and (self.ensemble == "nvt" or self.equilibration > 0.0)

    @property
    def measures_heat(self) -> bool:
        """Whether the heat that forecasts make can be told: under a thermostat, unless a relaxed start takes up heat of its own."""
        return self.ensemble == "nvt" and (self.equilibration > 0.0 or not self.draws_velocities)

    @property
    def draws_velocities(self) -> bool:
        """Whether start velocities are drawn rather than taken from the start."""
        if self.velocities is None:
            return self.temperature is not None
        return self.velocities == "maxwell-boltzmann"

    @property
    def conserved(self) -> Conserved:
        """What the dynamics keeps at zero."""
        rotation = self.rotation if self.rotation is not None else not self.draws_velocities
        return "momentum" if rotation else "momentum and rotation"

    def schedule(self, interval: float) -> Schedule:
        """What to do at which step, for steps of ``interval`` fs."""
        return Schedule.plan(
            interval=interval,
            duration=self.duration,
            equilibration=self.equilibration,
            save_every=self.save_every,
            log_every=self.log_every,
        )
