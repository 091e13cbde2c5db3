"""Rows of single steps: what is compared, with which limit, and over which groups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import copper
from forcefree.benchmark.free_flight import FreeFlight
from forcefree.benchmark.materials import MaterialsProtocol, run_materials, single_step_rows
from forcefree.benchmark.materials_targets import SINGLE_STEP
from forcefree.benchmark.single_step import StepError
from forcefree.benchmark.table import Row, Table
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.files import save_model
from forcefree.models.forecaster import Departures
from forcefree.models.registry import build_model
from forcefree.reference.config import ReferenceConfig
from forcefree.state import State

CARD = Card(name="x", model="x", species=[29], t_max=10.0, cutoff=4.0)
STEP = "relative velocity MAE at 10 fs"


class Slowed(FreeFlight):
    """Free flight whose velocities are wrong by this much (Å/fs) along x, by turns up and down so that momentum stays."""

    wrong = 0.0

    def departures(self, history: tuple[State, ...], times: torch.Tensor) -> Departures:
        nothing = super().departures(history, times).positions
        turns = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], dtype=torch.float64).repeat(history[-1].n_atoms // 2, 1)
        return Departures(nothing, nothing + self.wrong * turns)


def slowed(wrong: float) -> Slowed:
    model = Slowed(CARD)
    model.wrong = wrong
    return model


def coasting(seed: int, frames: int = 20) -> Trajectory:
    """Copper atoms that fly straight, at 0.01 Å/fs along x, by turns up and down, faster by a tenth in every further run."""
    atoms = copper.crystal()
    times = 2.0 * np.arange(frames)
    velocities = np.zeros((len(atoms), 3))
    velocities[:, 0] = 0.01 * (1.0 + 0.1 * seed) * np.where(np.arange(len(atoms)) % 2, -1.0, 1.0)
    positions = atoms.positions + times[:, None, None] * velocities
    return Trajectory(
        f"run_{seed}", atoms.numbers.astype(np.int64), atoms.get_masses(), times, positions,
        np.broadcast_to(velocities, positions.shape).copy(), cell=atoms.cell.array, pbc=atoms.pbc,
    )  # fmt: skip


def rows(folder: Path, models: list[FreeFlight], runs: list[Trajectory], times: list[float], **more: object) -> dict[str, Row]:
    table = Table("t", folder)
    published, peers = more.get("published", {}), more.get("peers", {})
    single_step_rows(table, models, runs, times, 8, published, peers)  # type: ignore[arg-type]
    return {row.figure: row for row in table.rows}


def test_trainings_are_averaged_and_groups_of_runs_make_the_error(tmp_path: Path) -> None:
    found = rows(tmp_path, [slowed(0.001), slowed(0.003)], [coasting(0), coasting(1)], [10.0])
    row = found[f"x, mean of 2 trainings: {STEP}"]
    wanted = [100.0 * 0.002 / (0.01 * factor) for factor in (1.0, 1.1)]
    assert (row.measured, row.seeds) == (pytest.approx(np.mean(wanted)), 2)
    assert row.error is not None
    assert row.error > 0.5 * np.ptp(wanted)
    assert found[f"no skill, free flight: {STEP}"].measured == pytest.approx(0.0, abs=1e-9)
    single = rows(tmp_path, [slowed(0.001)], [coasting(0)], [10.0])[f"x: {STEP}"]
    assert (single.measured, single.error) == (pytest.approx(10.0), None)


def test_no_more_than_four_groups_share_all_runs(tmp_path: Path) -> None:
    assert rows(tmp_path, [slowed(0.001)], [coasting(seed) for seed in range(6)], [10.0])[f"x: {STEP}"].seeds == 4


def test_published_figures_judge_the_model_alone(tmp_path: Path) -> None:
    found = rows(tmp_path, [slowed(0.001)], [coasting(0)], [4.0, 10.0], published={10.0: StepError(5.0, 9.0)})
    assert (found[f"x: {STEP}"].target, found[f"x: {STEP}"].holds) == ("<= 9 %", False)
    assert found["x: relative displacement MAE at 10 fs"].holds is True
    assert found["x: relative velocity MAE at 4 fs"].holds is None
    assert found[f"no skill, free flight: {STEP}"].holds is None
    assert SINGLE_STEP["quartz"][10.0] == StepError(0.69, 1.18)


def test_dynamics_is_run_at_the_times_that_its_steps_reach(tmp_path: Path) -> None:
    calculator = {"name": "springs:Springs", "options": {"stiffness": 0.01}}
    run = replace(coasting(0), provenance={"calculator": calculator, "timestep": 2.0})
    told = {"start": {"name": "Cu"}, "temperatures": [300], "recording": {"every": "4 fs"}, "output": "x.h5"}
    peer = ReferenceConfig.parse({"calculator": calculator, "timestep": "4 fs", **told}, "peer")
    found = rows(tmp_path, [slowed(0.0)], [run], [4.0, 10.0], peers={"springs": peer})
    for label, times in (
        ("peer, springs", {"4 fs"}),
        ("reference at half its time step (1 fs)", {"4 fs", "10 fs"}),
        ("reference at five times its time step (10 fs)", {"10 fs"}),
    ):
        assert {figure.split(" at ")[-1] for figure in found if figure.startswith(label)} == times
    silent = replace(run, provenance={})
    assert not any("reference at" in figure for figure in rows(tmp_path, [slowed(0.0)], [silent], [10.0]))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    options = {"channels": 4, "layers": 1, "refinements": 0, "filter_width": 4}
    path = tmp_path_factory.mktemp("model") / "copper.safetensors"
    save_model(build_model(CARD.model_copy(update={"name": "copper", "model": "trajcast", "options": options})), path)
    return str(path)


@pytest.mark.parametrize(
    ("pbc", "more", "sentence"),
    [
        ((True, True, False), {}, "'run_0' is periodic in some directions only; this benchmark is for crystals, liquids and molecules"),
        ((False, False, False), {"cells": (2,)}, "'run_0' has no cell that could be repeated; give a --start that has one"),
        ((False, False, False), {"large": 2, "as_reference": True}, "a larger cell needs canonical runs of a periodic system"),
    ],
)
def test_systems_that_do_not_fit_are_refused_before_anything_is_measured(
    tmp_path: Path, model: str, pbc: tuple[bool, ...], more: dict[str, object], sentence: str
) -> None:
    path = copper.store(tmp_path / "runs.h5", [replace(coasting(0), pbc=np.array(pbc))])
    given = {"reference": path} if more.pop("as_reference", False) else {"held_out": path}
    table = Table("t", tmp_path)
    with pytest.raises(ForcefreeError, match=sentence):
        run_materials(MaterialsProtocol("x", (model,), **given, **more), table)  # type: ignore[arg-type]
    assert not table.rows
