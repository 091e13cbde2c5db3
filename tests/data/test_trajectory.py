"""One trajectory in memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError


def _trajectory(frames: int = 6, atoms: int = 3) -> Trajectory:
    rng = np.random.default_rng(frames + 100 * atoms)
    return Trajectory(
        name="run",
        numbers=np.full(atoms, 8),
        masses=np.full(atoms, 15.999),
        times=0.5 * np.arange(frames),
        positions=rng.normal(size=(frames, atoms, 3)),
        velocities=rng.normal(size=(frames, atoms, 3)),
        energies=rng.normal(size=frames),
        forces=rng.normal(size=(frames, atoms, 3)),
    )


def test_spacing_is_the_time_between_frames() -> None:
    assert _trajectory().spacing == pytest.approx(0.5)


def test_spacing_forgives_rounding_but_not_a_missing_frame() -> None:
    blurred = replace(_trajectory(), times=0.5 * np.arange(6) + 1e-6 * np.array([0, 1, -1, 1, 0, 1]))
    assert blurred.spacing == pytest.approx(0.5, rel=1e-5)
    with pytest.raises(ForcefreeError, match=r"frames 0.5 to 1 fs apart; equally spaced"):
        _ = replace(_trajectory(), times=np.array([0, 0.5, 1, 2, 2.5, 3])).spacing


def test_one_frame_has_no_spacing() -> None:
    with pytest.raises(ForcefreeError, match="has 1 frame; at least two"):
        _ = _trajectory(frames=1).spacing


@given(st.integers(0, 12), st.integers(0, 14), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_frames_are_taken_from_all_arrays_alike(start: int, stop: int, stride: int) -> None:
    whole = _trajectory(frames=12)
    part = whole.frames(start, stop, stride)
    rows = list(range(12))[start:stop:stride]
    assert len(part) == len(rows)
    for noun in ("times", "positions", "velocities", "energies", "forces"):
        np.testing.assert_array_equal(getattr(part, noun), getattr(whole, noun)[rows])
    assert part.name == whole.name


def test_frames_of_positions_alone_stay_positions_alone() -> None:
    bare = replace(_trajectory(), velocities=None, energies=None, forces=None)
    part = bare.frames(1, 4)
    assert part.velocities is None
    assert part.energies is None
    assert part.forces is None


@pytest.mark.parametrize(
    ("noun", "value"),
    [
        ("numbers", np.full(2, 8)),
        ("masses", np.ones(4)),
        ("times", np.arange(5.0)),
        ("velocities", np.zeros((6, 3, 2))),
        ("energies", np.zeros((6, 1))),
        ("forces", np.zeros((5, 3, 3))),
    ],
)
def test_an_array_of_another_shape_is_named(noun: str, value: np.ndarray) -> None:
    with pytest.raises(ForcefreeError, match=f"has {noun} of shape"):
        replace(_trajectory(), **{noun: value})


def test_time_must_increase_and_there_must_be_atoms() -> None:
    with pytest.raises(ForcefreeError, match="do not increase"):
        replace(_trajectory(), times=np.array([0, 1, 1, 2, 3, 4.0]))
    with pytest.raises(ForcefreeError, match="zero atoms"):
        _trajectory(atoms=0)
