"""One wrong coordinate is found among right ones, and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from forcefree.analysis.pieces import Piece, split_halves
from forcefree.analysis.result import Curve, DistributionResult, Measure
from forcefree.analysis.structure import kind_measure, radial_measure, structure_measures
from forcefree.analysis.verdict import Thresholds
from forcefree.data.trajectory import Trajectory
from networks import STIFFNESS, molecular_dynamics


def _pieces(runs: Sequence[Trajectory]) -> list[Piece]:
    return [Piece(index, run.frames(0, 600)) for index, run in enumerate(runs)]


def _compared(model: Sequence[Trajectory], reference: Sequence[Trajectory]) -> tuple[dict[str, Measure], dict[str, DistributionResult]]:
    ours, theirs = _pieces(model), _pieces(reference)
    measures, found = structure_measures(ours, theirs, split_halves(ours, theirs), Thresholds())
    return {m.key: m for m in measures}, {result.curve.name: result for result in found}


def test_every_coordinate_has_its_density(others: list[Trajectory], thermostatted: list[Trajectory]) -> None:
    _, found = _compared(others, thermostatted)
    assert list(found) == ["O0-O1", "O0-H2", "O1-H3", "O1-O0-H2", "O0-O1-H3", "H2-O0-O1-H3"]
    for result in found.values():
        width = result.curve.x[1] - result.curve.x[0]
        assert np.sum(result.curve.model) * width == pytest.approx(1.0, abs=1e-3)
        assert np.sum(result.curve.reference) * width == pytest.approx(1.0, abs=1e-3)
        assert 0.0 < result.ceiling < result.distance + 0.2 < 1.2


def test_stiff_bonds_are_as_wide_as_their_springs_say() -> None:
    """Variance kT / k of the O-H springs; what is lost to neighbours is gained by a time step that is not zero."""
    runs = molecular_dynamics(48, 600, seed=3)
    found = _compared(runs, runs)[1]
    variances = []
    for name in ("O0-H2", "O1-H3"):
        x, p = np.array(found[name].curve.x), np.array(found[name].curve.reference)
        p = p / p.sum()
        variances.append(p @ x**2 - (p @ x) ** 2 - 0.01**2 / 12.0)
    assert np.mean(variances) == pytest.approx(0.025852 / STIFFNESS[1], rel=0.12)


def test_only_the_softened_bond_is_condemned(thermostatted: list[Trajectory]) -> None:
    soft = STIFFNESS * np.array([1.0, 1.0, 1.0, 1.0, 0.3, 1.0])
    measures, found = _compared(molecular_dynamics(12, 600, seed=9, stiffness=soft), thermostatted)
    assert found["O1-H3"].verdict == "does not hold"
    assert found["O0-H2"].verdict != "does not hold"
    assert measures["structure.bond"].verdict == "does not hold"
    assert measures["structure.bond"].note.endswith("farthest: O1-H3")
    assert measures["structure.bond"].deviation == found["O1-H3"].distance


def test_the_measure_of_a_kind_is_its_farthest_member() -> None:
    curve = Curve(name="x", x=[0.0, 1.0], model=[1.0, 0.0], reference=[1.0, 0.0])
    results = [
        DistributionResult(
            kind="bond", curve=curve.model_copy(update={"name": name}), distance=d, spread=0.01, ceiling=c, ceiling_spread=0.01, verdict=v
        )
        for name, d, c, v in [("a", 0.2, 0.2, "holds"), ("b", 0.3, 0.1, "undecided"), ("c", 0.5, 0.4, "holds")]
    ]  # fmt: skip
    measure = kind_measure("bond", results, Thresholds())
    assert (measure.deviation, measure.ceiling, measure.verdict) == (0.3, 0.1, "undecided")
    assert measure.threshold == pytest.approx(0.15)
    assert measure.note == "2 of 3 hold; farthest: b"
    assert kind_measure("bond", [], Thresholds()).verdict == "not judged"


def test_radial_distributions_of_a_packed_and_an_even_gas_differ() -> None:
    rng = np.random.default_rng(0)
    cell = 12.0 * np.eye(3)

    def gas(clustered: bool) -> Trajectory:
        start = rng.uniform(0.0, 12.0, (40, 20, 3))
        if clustered:
            start[:, 10:] = start[:, :10] + 1.8
        return Trajectory("r", np.full(20, 2), np.full(20, 4.0), np.arange(40.0), start, cell=cell, pbc=np.ones(3, dtype=bool))

    reference = [Piece(i, gas(False)) for i in range(8)]
    for clustered, verdicts in ((False, {"holds", "undecided"}), (True, {"does not hold"})):
        model = [Piece(i, gas(clustered)) for i in range(8)]
        measure, results, curves = radial_measure(model, reference, split_halves(model, reference), Thresholds())
        assert measure.verdict in verdicts
        assert [result.kind for result in results] == ["pair"]
        assert curves[0].name == "He-He"


def test_mirror_images_differ_only_in_dihedrals(thermostatted: list[Trajectory]) -> None:
    mirrored = [replace(run, positions=run.positions * [1.0, 1.0, -1.0]) for run in thermostatted]
    measures, _ = _compared(mirrored, thermostatted)
    assert measures["structure.bond"].verdict == "holds"
    assert measures["structure.angle"].verdict == "holds"


def _salt(rng: np.random.Generator, apart: float) -> Trajectory:
    """Two sodium ions so far apart (Å along every axis) among chloride anywhere; beyond 10 Å no distance is counted."""
    positions = rng.uniform(0.0, 20.0, (40, 30, 3))
    positions[:, :2] = [[0.0, 0.0, 0.0], [apart, apart, apart]]
    numbers = np.where(np.arange(30) < 2, 11, 17)
    return Trajectory("r", numbers, np.ones(30), np.arange(40.0), positions, cell=20.0 * np.eye(3), pbc=np.ones(3, dtype=bool))


@pytest.mark.parametrize(("ours", "theirs"), [(1.2, 10.0), (10.0, 1.2)])
def test_a_pair_that_only_one_side_shows_is_as_far_off_as_can_be(ours: float, theirs: float) -> None:
    rng = np.random.default_rng(2)
    model, reference = ([Piece(i, _salt(rng, apart)) for i in range(6)] for apart in (ours, theirs))
    measure, results, _ = radial_measure(model, reference, split_halves(model, reference), Thresholds())
    assert measure.verdict == "does not hold"
    assert (results[0].curve.name, results[0].distance, results[0].ceiling) == ("Na-Na", 1.0, 0.0)


def test_pairs_that_never_come_within_reach_are_left_out_and_the_rest_is_judged() -> None:
    rng = np.random.default_rng(1)
    model, reference = ([Piece(i, _salt(rng, 10.0)) for i in range(6)] for _ in range(2))
    measure, results, curves = radial_measure(model, reference, split_halves(model, reference), Thresholds())
    assert [result.curve.name for result in results] == ["Na-Cl", "Cl-Cl"]
    assert [curve.name for curve in curves] == ["Na-Na", "Na-Cl", "Cl-Cl"]
    assert measure.verdict in {"holds", "undecided"}
    for result in results:
        assert DistributionResult.model_validate_json(result.model_dump_json()) == result
