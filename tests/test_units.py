"""Å, fs, eV, amu and K: constants against CODATA, durations as people write them."""

from __future__ import annotations

import math

import pytest
from ase import units as ase_units
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants

from forcefree.errors import ForcefreeError
from forcefree.units import (
    ASE_FEMTOSECOND,
    BOLTZMANN,
    KCAL_PER_MOL,
    KINETIC_UNIT,
    KJ_PER_MOL,
    WAVENUMBER_PER_INVERSE_FS,
    femtoseconds,
)


def test_constants_agree_with_scipys_codata() -> None:
    assert pytest.approx(constants.k / constants.e, rel=1e-6) == BOLTZMANN
    assert pytest.approx(constants.atomic_mass * (1e-10 / 1e-15) ** 2 / constants.e, rel=1e-6) == KINETIC_UNIT
    assert pytest.approx(1000.0 / constants.N_A / constants.e, rel=1e-6) == KJ_PER_MOL
    assert pytest.approx(4.184 * KJ_PER_MOL, rel=1e-9) == KCAL_PER_MOL
    assert pytest.approx(1e15 / (constants.c * 100.0), rel=1e-12) == WAVENUMBER_PER_INVERSE_FS


def test_an_ase_velocity_times_the_femtosecond_is_in_angstrom_per_fs() -> None:
    ase_velocity = 1.0 / ase_units.fs
    assert ase_velocity * ASE_FEMTOSECOND == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500fs", 500.0),
        ("50 ps", 5e4),
        ("1ns", 1e6),
        ("0.5 fs", 0.5),
        (" 2e-3 ps ", 2.0),
        ("100as", 0.1),
        ("1us", 1e9),
        (20, 20.0),
        (0.5, 0.5),
    ],
)
def test_durations_are_read(text: str | float, expected: float) -> None:
    assert femtoseconds(text) == pytest.approx(expected, rel=1e-12)


@given(st.floats(min_value=1e-6, max_value=1e9), st.sampled_from(["as", "fs", "ps", "ns", "us"]))
def test_every_number_with_a_unit_is_read_back(value: float, unit: str) -> None:
    scale = {"as": 1e-3, "fs": 1.0, "ps": 1e3, "ns": 1e6, "us": 1e9}[unit]
    assert femtoseconds(f"{value!r} {unit}") == pytest.approx(value * scale, rel=1e-12)


@pytest.mark.parametrize("text", ["", "fs", "10", "ten ps", "10 Ps", "10 m", "1.2.3 fs", "-5 fs", "1 ps 2 fs"])
def test_what_is_no_duration_is_named_in_the_sentence(text: str) -> None:
    with pytest.raises(ForcefreeError, match="duration"):
        femtoseconds(text)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan, "0 fs", "1e999 fs"])
def test_durations_are_positive_and_finite(value: str | float) -> None:
    with pytest.raises(ForcefreeError, match="positive and finite"):
        femtoseconds(value)
