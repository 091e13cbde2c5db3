"""Units as text."""

from __future__ import annotations

import pytest
from ase import units
from scipy import constants

from forcefree.data.importing.quantities import Kind, conversion, likely_velocity_unit
from forcefree.errors import ForcefreeError


@pytest.mark.parametrize(
    ("unit", "kind", "factor"),
    [
        ("A", "length", 1.0),
        ("Å", "length", 1.0),
        ("\u212b", "length", 1.0),
        ("Angstrom", "length", 1.0),
        ("nm", "length", 10.0),
        ("bohr", "length", 0.529177210903),
        ("ps", "time", 1000.0),
        ("second", "time", 1e15),
        ("A/fs", "velocity", 1.0),
        ("A/ps", "velocity", 1e-3),
        ("nm/ps", "velocity", 1e-2),
        ("nm ps-1", "velocity", 1e-2),
        ("Angstrom fs-1", "velocity", 1.0),
        ("Angstrom*fs^-1", "velocity", 1.0),
        ("m/s", "velocity", 1e-5),
        ("ase", "velocity", units.fs),
        ("bohr/aut", "velocity", constants.physical_constants["atomic unit of velocity"][0] * 1e-5),
        ("eV", "energy", 1.0),
        ("kcal/mol", "energy", 0.0433641),
        ("kJ mol-1", "energy", 0.0103643),
        ("hartree", "energy", 27.211386),
        ("Ry", "energy", 13.605693),
        ("eV/A", "force", 1.0),
        ("kcal/mol/A", "force", 0.0433641),
        ("kJ mol-1 nm-1", "force", 0.00103643),
        ("kJ/(mol*Angstrom)", "force", 0.0103643),
        ("hartree/bohr", "force", 51.422067),
        ("amu", "mass", 1.0),
        ("g mol-1", "mass", 1.0),
    ],
)
def test_a_unit_becomes_a_factor(unit: str, kind: Kind, factor: float) -> None:
    assert conversion(unit, kind) == pytest.approx(factor, rel=1e-5)


@pytest.mark.parametrize(
    ("unit", "kind"),
    [
        ("fs", "length"),
        ("A", "velocity"),
        ("A/fs/fs", "velocity"),
        ("kcal", "energy"),
        ("furlong", "length"),
        ("", "time"),
        ("A fs", "velocity"),
    ],
)
def test_a_wrong_unit_is_named_with_right_ones_beside_it(unit: str, kind: Kind) -> None:
    with pytest.raises(ForcefreeError, match=f"'{unit}' is not a unit of {kind}; write for example"):
        conversion(unit, kind)


@pytest.mark.parametrize("wrong", ["A/fs", "A/ps", "nm/ps", "ase", "m/s", "bohr/aut"])
@pytest.mark.parametrize("right", ["A/fs", "A/ps", "nm/ps", "ase", "m/s", "bohr/aut"])
def test_the_likely_unit_is_recovered_from_the_ratio(wrong: str, right: str) -> None:
    ratio = conversion(right, "velocity") / conversion(wrong, "velocity")
    assert likely_velocity_unit(1.02 * ratio, conversion(wrong, "velocity")) == right


def test_an_odd_ratio_suggests_nothing() -> None:
    assert likely_velocity_unit(0.33, 1.0) is None
