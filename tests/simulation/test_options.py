"""Options that contradict each other, and what follows from those that are not given."""

from __future__ import annotations

import pytest

from forcefree.errors import ForcefreeError
from forcefree.simulation.options import SimulationOptions
from forcefree.simulation.thermostats import Equilibration, NoThermostat
from sloppy import engine, sloppy


def options(**values: object) -> SimulationOptions:
    return SimulationOptions.parse({"duration": "1 ps", **values}, "given")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"thermostat": "langevin"}, r"thermostat \(langevin\) would"),
        ({"thermostat": "csvr"}, r"thermostat \(csvr\) would"),
        ({"thermostat_time": "50 fs"}, r"thermostat_time \(50 fs\) would"),
        ({"thermostat": "langevin", "thermostat_time": "1 ps"}, r"thermostat \(langevin\) and thermostat_time \(1000 fs\) would"),
        ({"thermostat": "langevin", "temperature": None, "equilibration": "1 ps"}, r"thermostat \(langevin\) would"),
    ],
)
def test_a_thermostat_that_never_acts_is_refused(given: dict[str, object], named: str) -> None:
    sentence = f"given: the top level: a thermostat acts in nve only while it equilibrates at a temperature, so {named} change nothing"
    with pytest.raises(ForcefreeError, match=sentence) as caught:
        options(**{"ensemble": "nve", "temperature": 300.0} | given)
    assert "\n" not in str(caught.value)


def test_a_thermostat_that_acts_is_taken_and_none_is_asked_for_where_none_acts() -> None:
    langevin = {"thermostat": "langevin", "thermostat_time": 50.0}
    assert options(temperature=300.0, **langevin).thermostatted
    assert options(ensemble="nve", temperature=300.0, equilibration="20 fs", **langevin).thermostatted
    assert isinstance(engine(sloppy(), ensemble="nve", equilibration=20.0, **langevin).thermostat, Equilibration)
    assert not options(ensemble="nve", temperature=300.0).thermostatted
    assert isinstance(engine(sloppy(), ensemble="nve").thermostat, NoThermostat)


@pytest.mark.parametrize(
    ("given", "drawn", "conserved"),
    [
        ({"temperature": 300.0}, True, "momentum and rotation"),
        ({"temperature": 300.0, "rotation": True}, True, "momentum"),
        ({"temperature": 300.0, "velocities": "start"}, False, "momentum"),
        ({"temperature": 300.0, "velocities": "start", "rotation": False}, False, "momentum and rotation"),
        ({"ensemble": "nve"}, False, "momentum"),
        ({"ensemble": "nve", "temperature": 300.0}, True, "momentum and rotation"),
    ],
)
def test_molecules_turn_where_their_start_velocities_let_them(given: dict[str, object], drawn: bool, conserved: str) -> None:
    assert (options(**given).draws_velocities, options(**given).conserved) == (drawn, conserved)


def test_velocities_without_a_temperature_cannot_be_drawn() -> None:
    with pytest.raises(ForcefreeError, match="velocities can only be drawn at a temperature in K, such as 300"):
        options(ensemble="nve", velocities="maxwell-boltzmann")
