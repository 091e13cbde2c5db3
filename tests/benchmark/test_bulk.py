"""Figures of periodic rollouts beside what is known of a crystal, an ideal gas and straight flight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

import copper
from forcefree.benchmark.bulk import energy_drift, follow, free_flight, radial_distance, start_of
from forcefree.benchmark.canonical import spacing_of
from forcefree.benchmark.free_flight import FreeFlight
from forcefree.benchmark.propagation import Propagation
from forcefree.benchmark.pursuit import pieces_of
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.reference.config import CalculatorConfig
from forcefree.units import KINETIC_UNIT
from networks import STIFFNESS, molecular_dynamics


@pytest.fixture(scope="module")
def crystals() -> list[Trajectory]:
    return copper.runs(2, 41)


def gas(run: Trajectory) -> Trajectory:
    rng = np.random.default_rng(0)
    return replace(run, positions=rng.random(run.positions.shape) @ run.cell)


def test_a_system_is_no_distance_from_itself_and_a_gas_far_from_a_crystal(crystals: list[Trajectory]) -> None:
    assert radial_distance(crystals, crystals)[0] == 0.0
    assert radial_distance(crystals[:1], crystals[1:])[0] < 25.0
    assert radial_distance([gas(run) for run in crystals], crystals)[0] > 60.0


def test_a_crystal_that_only_drifts_is_the_same_crystal(crystals: list[Trajectory]) -> None:
    still = replace(crystals[0], positions=np.broadcast_to(crystals[0].positions[0], crystals[0].positions.shape).copy())
    moved = replace(still, positions=still.positions + np.linspace(0.0, 1.0, len(still))[:, None, None] * [0.0, 0.0, 3.6])
    assert radial_distance([still], [moved])[0] == pytest.approx(0.0, abs=1e-9)


def test_cells_of_two_sizes_are_compared_as_far_as_the_smaller_allows(crystals: list[Trajectory]) -> None:
    run = crystals[0]
    doubled = replace(
        run,
        numbers=np.tile(run.numbers, 2),
        masses=np.tile(run.masses, 2),
        positions=np.concatenate([run.positions, run.positions + run.cell[0]], axis=1),
        velocities=None,
        cell=run.cell * np.array([[2.0], [1.0], [1.0]]),
    )
    distance, _ = radial_distance([doubled], [run])
    assert distance < 0.5


def salt(reach: float) -> list[Trajectory]:
    """Two sodium atoms, ``reach`` Å from each other, and oxygen that is drawn anew for each of two runs, in a box of 10 Å."""
    rng = np.random.default_rng(1)
    found = []
    for index in range(2):
        positions = 10.0 * rng.random((30, 12, 3))
        positions[:, :2] = [[0.0, 0.0, 0.0], [reach / 3**0.5] * 3]
        numbers = np.array([11] * 2 + [8] * 10)
        found.append(
            Trajectory(str(index), numbers, np.ones(12), np.arange(30.0), positions, cell=10.0 * np.eye(3), pbc=np.ones(3, dtype=bool))
        )
    return found


def test_ions_that_never_meet_do_not_hide_the_other_pairs() -> None:
    apart, near = salt(8.0), salt(3.0)
    assert radial_distance(apart, apart)[0] == 0.0
    distance, error = radial_distance(apart[:1], apart[1:])
    assert 10.0 < distance < 200.0
    assert error is None
    assert radial_distance(near, apart)[0] == np.inf, "what the reference never saw"
    assert radial_distance(apart, near)[0] == pytest.approx(100.0), "what the reference always saw"
    pair = [replace(run, numbers=run.numbers[:2], masses=run.masses[:2], positions=run.positions[:, :2]) for run in apart]
    assert np.isnan(radial_distance(pair, pair)[0]), "nothing was seen"


def stretched(drift: float) -> Trajectory:
    """Two atoms on a spring of 5 eV/Å^2 and 1.5 Å whose potential rises linearly by ``drift`` eV per ps and atom, at rest."""
    times = 50.0 * np.arange(21)
    length = 1.5 + np.sqrt(2.0 * (0.1 + 2.0 * drift * times / 1000.0) / 5.0)
    positions = np.zeros((21, 2, 3))
    positions[:, 1, 2] = length
    return Trajectory("x", np.array([8, 8]), np.array([16.0, 16.0]), times, positions, np.zeros((21, 2, 3)))


def test_the_drift_of_a_known_energy_is_its_slope() -> None:
    calculator = CalculatorConfig(name="springs:Springs")
    runs = [stretched(0.003), stretched(0.005)]
    slope, error = energy_drift(runs, calculator)
    assert slope == pytest.approx(4.0, rel=1e-6)
    assert error == pytest.approx(float(student.ppf(0.975, 1)) / 1.96, rel=1e-6), "half of 2 meV/atom/ps, widened for two runs"
    faster = np.zeros((21, 2, 3))
    faster[:, 0, 0] = np.sqrt(2.0 * (0.5 - 2.0 * 0.003 * runs[0].times / 1000.0) / (KINETIC_UNIT * 16.0))
    kept = replace(runs[0], velocities=faster)
    assert energy_drift([kept], calculator)[0] == pytest.approx(0.0, abs=1e-6)
    assert energy_drift([kept], calculator, potential_only=True)[0] == pytest.approx(3.0, rel=1e-6)


def test_molecules_are_compared_by_their_pair_distances() -> None:
    short, longer = (molecular_dynamics(2, 60, stiffness=stiffness) for stiffness in (STIFFNESS, 0.5 * STIFFNESS))
    assert radial_distance(short, short)[0] == 0.0
    softer, error = radial_distance(longer, short)
    turned = [replace(run, positions=run.positions @ np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])) for run in short]
    assert radial_distance(turned, short)[0] == pytest.approx(0.0, abs=1.0)
    assert softer > 10.0
    assert error is not None


def test_one_run_has_no_error_and_several_have(crystals: list[Trajectory]) -> None:
    assert radial_distance(crystals[:1], crystals)[1] is None
    assert (radial_distance(crystals, crystals)[1] or 0.0) > 0.0


def test_the_reference_keeps_its_energy_and_straight_flight_does_not(crystals: list[Trajectory]) -> None:
    calculator = CalculatorConfig.model_validate(copper.CALCULATOR)
    kept, _ = energy_drift(crystals, calculator)
    gained, _ = energy_drift([free_flight(run) for run in crystals], calculator)
    assert abs(kept) < 5.0
    assert gained > 100.0


def test_a_forecaster_without_skill_follows_straight_flight(crystals: list[Trajectory]) -> None:
    model = FreeFlight(Card(name="blind", model="trajcast", options={}, species=[29], t_max=10.0, cutoff=4.0))
    short = [run.frames(0, 11) for run in crystals]
    found, lost = follow(model, short, Propagation("direct", 10.0, None))
    assert lost == 0
    for ours, run in zip(found, short, strict=True):
        np.testing.assert_allclose(ours.positions, free_flight(run).positions, atol=1e-6)


def test_starts_have_the_velocities_of_their_frames(crystals: list[Trajectory]) -> None:
    atoms = start_of(crystals[0], 7)
    velocities = crystals[0].velocities
    assert velocities is not None
    kinetic = 0.5 * (crystals[0].masses[:, None] * velocities[7] ** 2).sum() * 103.642697
    assert atoms.get_kinetic_energy() == pytest.approx(kinetic, rel=1e-5)


def test_pieces_share_no_frame_and_are_long_enough(crystals: list[Trajectory]) -> None:
    pieces = pieces_of(crystals, 20.0)
    assert len(pieces) == 6
    assert all(piece.times[-1] - piece.times[0] == pytest.approx(20.0) for piece in pieces)
    assert len({(piece.name, float(time)) for piece in pieces for time in piece.times}) == 66
    with pytest.raises(ForcefreeError, match="no held-out run lasts 1000 fs; the first lasts 80 fs"):
        pieces_of(crystals, 1000.0)
    for interval in (30.0, 5.0):
        with pytest.raises(ForcefreeError, match=f"20 fs of frames 2 fs apart cannot be followed in steps of {interval:g} fs"):
            pieces_of(crystals, 20.0, [Propagation("direct", interval, None)])


@pytest.mark.parametrize(
    ("interval", "reference", "spacing"),
    [(5.0, 10.0, 5.0), (10.0, 10.0, 10.0), (30.0, 10.0, 10.0), (40.0, 20.0, 10.0), (25.0, 10.0, 25.0 / 3.0), (20.0, 2.5, 2.5)],
)
def test_long_steps_are_recorded_inside(interval: float, reference: float, spacing: float) -> None:
    assert spacing_of(interval, reference) == pytest.approx(spacing)


def test_propagators_are_read_from_words() -> None:
    assert Propagation.parse("reversible:20:1") == Propagation("reversible", 20.0, 1)
    assert Propagation.parse("direct:7.5").label == "direct 7.5 fs"
    assert Propagation.parse("direct:10:keep") == Propagation("direct", 10.0, None, keep_energy=True)
    kept = Propagation.parse("reversible:10:3:keep")
    assert kept.label == "reversible 10 fs, 3 correction(s), energy kept"
    assert kept.options == {"propagator": "reversible", "interval": 10.0, "corrections": 3, "keep_energy": True}
    for wrong in ("direct", "direct:x", "direct:10:two", "direct:10:keep:2", "keep", "direct:0", "direct:-10", "direct:nan", "direct:inf"):
        with pytest.raises(ForcefreeError, match="a propagator is given as direct:10"):
            Propagation.parse(wrong)


def test_the_usual_propagator_is_that_of_simulate() -> None:
    card = Card(name="blind", model="trajcast", options={}, species=[29], t_max=10.0, cutoff=4.0)
    assert Propagation.usual(FreeFlight(card)) == Propagation("reversible", 10.0, 1)
    advised = card.model_copy(update={"propagator": {"name": "direct", "interval": 5.0}})
    assert Propagation.usual(FreeFlight(advised)) == Propagation("direct", 5.0, None)
