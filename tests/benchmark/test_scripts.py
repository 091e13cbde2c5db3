"""What the scripts of ``benchmarks`` compute from numbers, where the answer is known."""

from __future__ import annotations

import importlib
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.stats import t as student
from torch import Tensor

from forcefree.analysis.result import Measure
from forcefree.analysis.transport import diffusion_coefficient
from forcefree.benchmark.free_flight import FreeFlight
from forcefree.benchmark.table import Row, Table
from forcefree.data.trajectory import Trajectory
from forcefree.models.card import Card
from forcefree.models.files import save_model
from forcefree.models.registry import build_model
from forcefree.state import State
from forcefree.training.windows import Windows
from forcefree.units import BOLTZMANN, KINETIC_UNIT
from networks import MOLECULE, energies_and_forces, molecular_dynamics, store
from oracles import Springs, phantom, phantom_start

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


def script(name: str) -> ModuleType:
    """A script as a module."""
    return importlib.import_module(name)


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


def rows(table: Table) -> dict[str, Row]:
    return {row.figure: row for row in table.rows}


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table("t", tmp_path)


@pytest.mark.parametrize("name", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_every_script_finds_what_it_imports_and_says_what_it_does(name: str) -> None:
    assert script(name).__doc__


def rising(slopes: list[float], frames: int = 11, spacing: float = 100.0) -> list[Trajectory]:
    """Runs whose frames are numbered; the slope of their energies in meV/ps, by their names."""
    still = np.repeat(MOLECULE.positions[None], frames, axis=0)
    times = spacing * np.arange(frames)
    return [Trajectory(str(slope), MOLECULE.numbers, MOLECULE.get_masses(), times, still, np.zeros_like(still)) for slope in slopes]


def line(run: Trajectory, wave: float = 0.0) -> np.ndarray:
    """Energies in eV that rise with the slope of the run's name, and alternate by ``wave`` meV about the line."""
    turns = np.array([1.0, -1.0, -1.0, 1.0] * 3)[: len(run)]  # neither mean nor slope over twelve frames
    return 1e-3 * (float(run.name) * run.times / 1000.0 + wave * turns) + 5.0


def test_the_drift_of_a_known_series_is_its_slope_and_the_scatter_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    nve = script("nve")
    monkeypatch.setattr(nve, "total_energies", lambda run: line(run, 3.0))
    drifts, scatter = nve.slopes(rising([8.0, -4.0], 12))
    np.testing.assert_allclose(drifts, [2.0, -1.0], rtol=1e-9)
    np.testing.assert_allclose(scatter, 3.0, rtol=1e-9)


def test_scatter_and_drift_of_replicas_that_were_not_lost(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    chemical_space = script("chemical_space")
    monkeypatch.setattr(chemical_space, "total_energies", line)
    runs = rising([1.0, 3.0, 1000.0])
    run = type("Run", (), {"stopped": {2: "hot"}, "trajectories": lambda self: iter(runs)})()
    chemical_space.drift_rows(table, "x", run, 3)
    found = rows(table)
    assert (found["x: replicas lost"].measured, found["x: replicas lost"].holds) == (1, False)
    drift = found["x: drift of the total energy"]
    meV = 1e-3 / chemical_space.KCAL_PER_MOL
    assert (drift.measured, drift.error, drift.seeds) == (pytest.approx(2.0 * meV), pytest.approx(1.0 * meV), 2)
    spread = np.std(runs[0].times / 1000.0)
    assert found["x: SD of the total energy"].measured == pytest.approx(2.0 * meV * spread)
    monkeypatch.setattr(run.__class__, "stopped", {0: "", 1: "", 2: ""})
    lost = Table("lost", table.folder)
    chemical_space.drift_rows(lost, "x", run, 3)
    assert len(lost.rows) == 1, "where all are lost nothing is left to judge"


def of_molecules(values: dict[str, float]) -> dict[str, dict[str, float]]:
    others = ("velocity_percent", "free_flight_pm", "free_flight_velocity_percent")
    return {name: {"position_pm": value} | dict.fromkeys(others, 10.0 * value) for name, value in values.items()}


def test_errors_over_molecules_have_means_groups_and_the_worst_by_name(table: Table) -> None:
    chemical_space = script("chemical_space")
    values = {name: float(index) for index, name in enumerate("gfedcba")}
    chemical_space.report(table, "x", of_molecules(values), 4.0)
    found = rows(table)
    whole = found["x: position MAE at 10 fs"]
    assert (whole.measured, whole.holds) == (3.0, True)
    assert whole.error == pytest.approx(np.std(list(values.values()), ddof=1) / math.sqrt(7))
    assert found["x: free flight, position MAE at 10 fs"].measured == 30.0
    assert found["x: free flight, position MAE at 10 fs"].holds is None, "no skill has no target"
    groups = [found[f"x: position MAE at 10 fs, group {group} of 3 of the molecules"] for group in (1, 2, 3)]
    assert [group.seeds for group in groups] == [3, 2, 2]
    assert [group.measured for group in groups] == [3.0, 3.5, 2.5]
    assert [row.figure[-1] for row in table.rows if "worst five" in row.figure] == list("abcde")


def accelerated() -> tuple[Windows, Tensor]:
    """Two molecules that fall, each atom with an acceleration of its own, for 20 fs."""
    state = State.from_atoms([MOLECULE] * 2)
    generator = torch.Generator().manual_seed(0)
    speed, push = (scale * torch.randn(state.n_atoms, 3, generator=generator, dtype=torch.float64) for scale in (1e-2, 1e-3))
    times = torch.arange(1.0, 21.0, dtype=torch.float64)[:, None]
    t = times[..., None]
    state = state.with_(velocities=speed)
    return Windows((state,), times.expand(-1, 2), state.positions + t * speed + 0.5 * t**2 * push, speed + t * push), push


def test_extrapolations_of_the_flow_map_are_exact_where_they_should_be() -> None:
    flow_map = script("flow_map")
    windows, push = accelerated()
    exact, blind = (flow_map.of_extrapolation(windows, known) for known in (push, torch.zeros_like(push)))
    for time in flow_map.TIMES:
        assert exact[time] == pytest.approx((0.0, 0.0), abs=1e-10)
        lost = float(push.abs().mean())
        assert blind[time][0] == pytest.approx(100.0 * 0.5 * time**2 * lost)
        assert blind[time][1] == pytest.approx(100.0 * time * lost / float(windows.velocities[time - 1].square().mean().sqrt()))


def flown(model: Springs, state: State, frames: int) -> Windows:
    """The exact flow of springs, a frame each fs."""
    times = torch.arange(1.0, frames + 1.0, dtype=torch.float64)[:, None].expand(-1, state.n_systems)
    positions, velocities = model.unchecked_forecast((state,), times)
    return Windows((state,), times, positions, velocities)


def test_a_flow_map_is_used_again_beyond_its_longest_time() -> None:
    flow_map = script("flow_map")
    windows = flown(phantom(), phantom_start(2), 20)
    found = flow_map.of_model(phantom(t_max=6.0), windows)
    assert set(found) == set(flow_map.TIMES)
    assert max(max(pair) for pair in found.values()) < 1e-8
    assert flow_map.of_model(FreeFlight(phantom().card), windows)[20][0] > 1.0


def test_an_energy_that_is_only_shifted_has_a_constant_and_no_error() -> None:
    energy_head = script("energy_head")
    runs = molecular_dynamics(2, 40, every=2, ensemble="nve")

    class Head(FreeFlight):
        calls = 0

        def potential_energy(self, state: State) -> Tensor:
            exact = torch.from_numpy(energies_and_forces(state.positions.numpy().reshape(-1, 4, 3))[0])
            self.calls += 1
            return exact + 0.4 + (0.02 if self.calls == 2 else 0.0)

    card = Card(name="h", model="h", species=[1, 8], t_max=10.0, cutoff=5.0)
    found = energy_head.head_errors(Head(card), runs, 16)
    assert found["constant"] == pytest.approx(100.0), "0.4 eV over four atoms"
    assert found["energy"] == pytest.approx(0.0, abs=1e-9)
    assert found["change"] == pytest.approx(5.0), "0.02 eV over four atoms"
    assert found["no skill"] > 1.0


def test_runs_near_room_temperature_are_told_by_their_kinetic_energy() -> None:
    near, still = script("forecast_heat").near, MOLECULE.positions[None]
    masses = MOLECULE.get_masses()
    speed = np.sqrt(3.0 * BOLTZMANN * 300.0 / (KINETIC_UNIT * masses))[None, :, None] * np.array([0.0, 0.6, 0.8])
    for heat, expected in ((1.0, True), (1.19, True), (1.21, False), (0.79, False)):
        run = Trajectory("x", MOLECULE.numbers, masses, np.zeros(1), still, math.sqrt(heat) * speed)
        assert near(run) is expected, heat


def test_a_model_between_two_files_has_weights_between_theirs(tmp_path: Path) -> None:
    files = []
    for index in range(2):
        torch.manual_seed(index)
        options = {"channels": 4, "layers": 1, "refinements": 0, "filter_width": 4}
        model = build_model(Card(name="m", model="trajcast", options=options, species=[1], t_max=10.0, cutoff=4.0))
        files.append(tmp_path / f"{index}.safetensors")
        save_model(model, files[-1])
    between = script("forecast_heat").between
    ends = [dict(between(str(file)).named_parameters()) for file in files]
    for name, weight in between(f"{files[0]}+{files[1]}@0.25").named_parameters():
        torch.testing.assert_close(weight, 0.75 * ends[0][name] + 0.25 * ends[1][name])


def test_changes_are_laid_over_a_recipe_block_by_block() -> None:
    short_forecasts = script("short_forecasts")
    base = {"model": {"t_max": 4.0, "options": {"lags": 3, "noise": 0.1}}, "seed": 0}
    found = short_forecasts.merged(base, {"model": {"options": {"noise": 0.2}}, "unroll": 1})
    assert found == {"model": {"t_max": 4.0, "options": {"lags": 3, "noise": 0.2}}, "seed": 0, "unroll": 1}
    assert base["model"] == {"t_max": 4.0, "options": {"lags": 3, "noise": 0.1}}
    for label, changes in short_forecasts.variants("ablation", 2.0).items():
        assert changes["model"]["t_max"] == 8.0, label
    assert short_forecasts.variants("one-shot", 2.0)["ASTEROID, one shot"]["model"]["t_max"] == 64.0


def test_cost_grows_with_the_power_that_it_grows_with() -> None:
    sizes = [100.0, 1000.0, 30000.0]
    assert script("cost_scaling").exponent(sizes, [3.0 * size**1.5 for size in sizes]) == pytest.approx(1.5)


def test_boxes_of_water_have_the_density_of_water_and_no_clash() -> None:
    (box,) = script("cost_scaling").water(100).to_atoms()
    assert len(box) == 81
    assert box.get_chemical_symbols().count("H") == 2 * box.get_chemical_symbols().count("O")
    grams = box.get_masses().sum() * 1.66053907e-24
    assert grams / (box.cell.volume * 1e-24) == pytest.approx(1.0, rel=0.02)
    assert (box.get_all_distances(mic=True) + 9.0 * np.eye(81)).min() > 0.9


@pytest.fixture
def force_network() -> ModuleType:
    return script("force_network")


def network(module: ModuleType, *, conservative: bool) -> torch.nn.Module:
    torch.manual_seed(0)
    config = module.MDtrajNetConfig.parse({"channels": 8, "matrix_channels": 4, "heads": 2, "layers": 1, "refinements": 1}, "x")
    return module.ForceNetwork(config, 2, 5.0, conservative=conservative).double().eval()


def every_pair(n_atoms: int) -> tuple[Tensor, Tensor]:
    receiver, sender = (~torch.eye(n_atoms, dtype=torch.bool)).nonzero().T
    return receiver, sender


@pytest.mark.parametrize("conservative", [False, True])
def test_rival_forces_turn_with_the_molecule(force_network: ModuleType, conservative: bool) -> None:
    model, positions = network(force_network, conservative=conservative), torch.from_numpy(MOLECULE.positions)
    species, pairs = torch.tensor([1, 1, 0, 0]), (*every_pair(4), 3)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    here, turned = model(positions, species, *pairs), model(positions @ turn + 3.0, species, *pairs)
    assert here.abs().max() > 0.0
    torch.testing.assert_close(turned, here @ turn, rtol=1e-9, atol=1e-12 * float(here.detach().abs().max()))


def work_round_a_loop(model: torch.nn.Module, points: int = 24) -> float:
    """Work done on a hydrogen that comes back to where it was, over the sum of its magnitudes on the way."""
    species, pairs = torch.tensor([1, 1, 0, 0]), (*every_pair(4), 3)
    angle = 2.0 * math.pi * torch.arange(points, dtype=torch.float64) / points
    away = 0.2 * torch.stack([torch.cos(angle), torch.sin(angle), torch.sin(angle)], dim=1)
    slope = 0.2 * torch.stack([-torch.sin(angle), torch.cos(angle), torch.cos(angle)], dim=1)
    power = []
    for step, along in zip(away, slope, strict=True):
        moved = torch.from_numpy(MOLECULE.positions.copy())
        moved[3] += step
        power.append(float((model(moved, species, *pairs)[3].detach() * along).sum()))
    return abs(sum(power)) / sum(map(abs, power))


def test_rival_forces_that_are_a_gradient_do_no_work_round_a_loop(force_network: ModuleType) -> None:
    assert work_round_a_loop(network(force_network, conservative=True)) < 1e-6
    assert work_round_a_loop(network(force_network, conservative=False)) > 1e-3


def drifting(speeds: list[float], frames: int = 40) -> list[Trajectory]:
    """A light and a heavy element in a box, each atom at a constant speed of its own run, the two kinds in opposite directions."""
    found = []
    for index, speed in enumerate(speeds):
        numbers, times = np.array([1, 1, 8]), 2.0 * np.arange(frames)
        masses = np.array([1.0, 1.0, 2.0])
        velocities = np.array([[speed, 0.0, 0.0]] * 2 + [[-speed, 0.0, 0.0]])
        positions = np.array([[0.0, 0, 0], [0, 3.0, 0], [3.0, 0, 3.0]]) + times[:, None, None] * velocities
        found.append(
            Trajectory(
                str(index), numbers, masses, times, positions, np.broadcast_to(velocities, positions.shape).copy(),
                cell=9.0 * np.eye(3), pbc=np.ones(3, dtype=bool),
            )
        )  # fmt: skip
    return found


def test_square_displacements_are_means_over_elements_and_their_error_is_over_runs() -> None:
    moved, lags = script("periodic").moved, 2.0 * np.arange(1, 20)
    square = float((lags**2).mean())
    mean, error = moved(drifting([0.01, 0.02]), fluid=False)
    assert mean == pytest.approx(square * (1e-4 + 4e-4) / 2.0)
    widened = float(student.ppf(0.975, 1)) / 1.96
    assert error == pytest.approx(widened * square * 1.5e-4, rel=1e-6)
    found, _ = moved(drifting([0.01, 0.01]), fluid=True)
    assert found == pytest.approx(diffusion_coefficient((0.01 * 2.0 * np.arange(40)) ** 2, 2.0))


def test_elements_that_move_differently_in_the_same_way_are_no_error() -> None:
    runs = drifting([0.01, 0.01])
    heavy = [replace(run, masses=np.array([1.0, 1.0, 8.0])) for run in runs]  # the centre of mass now goes with the heavy one
    assert script("periodic").moved(heavy, fluid=False)[1] == pytest.approx(0.0, abs=1e-12)


def test_a_deviation_has_the_errors_of_both_sides(table: Table) -> None:
    ours, truth = drifting([0.02, 0.022]), drifting([0.01, 0.012, 0.011])
    periodic = script("periodic")
    (value, wide), (base, narrow) = (periodic.moved(side, fluid=False) for side in (ours, truth))
    periodic.compare(table, "x", ours, truth, fluid=False, judged=True)
    row = rows(table)["x: mean square displacement, deviation"]
    assert row.measured == pytest.approx(100.0 * (value / base - 1.0))
    assert row.error == pytest.approx(100.0 * value / base * math.hypot(wide / value, narrow / base))
    assert (row.target, row.holds, row.seeds) == ("<= 10 %", False, 2)
    ceiling = Table("c", table.folder)
    periodic.compare(ceiling, "x", truth, truth, fluid=False, judged=False)
    assert rows(ceiling)["x: mean square displacement, deviation"].measured == pytest.approx(0.0, abs=1e-12)
    assert all(row.holds is None for row in ceiling.rows)


def measure(verdict: str, **more: object) -> Measure:
    values = {"key": "k", "group": "ensemble", "label": "heat", "unit": "K", "verdict": verdict, "deviation": 2.5, "threshold": 2.0}
    return Measure.model_validate(values | {"threshold_unit": "%", "deviation_error": 0.4, "model": 307.5, "model_error": 1.2} | more)


@pytest.mark.parametrize(
    ("verdict", "holds", "told"), [("holds", True, "holds"), ("undecided", False, "undecided"), ("does not hold", False, "undecided")]
)
def test_a_verdict_of_the_analysis_is_that_of_the_row(table: Table, verdict: str, holds: bool, told: str) -> None:
    script("nvt").add(table, "x", [measure(verdict), measure("not judged", label="other", threshold=None, model=None)], 8)
    found = rows(table)
    assert list(found) == ["x: heat", "x: heat, value", "x: other"]
    assert (found["x: heat"].holds, found["x: heat"].target, found["x: heat"].unit) == (holds, "<= 2 %", "%")
    assert found["x: heat"].verdict == told
    assert (found["x: heat, value"].measured, found["x: heat, value"].error, found["x: heat, value"].unit) == (307.5, 1.2, "K")
    assert found["x: other"].holds is None


@pytest.mark.parametrize(("interval", "spacing"), [(20.0, 4.0), (10.0, 2.5), (5.0, 2.5), (8.0, 4.0), (14.0, 2.0), (7.0, 3.5), (3.0, 3.0)])
def test_frames_are_close_enough_to_see_hydrogen(interval: float, spacing: float) -> None:
    assert script("starts").fine_spacing(interval) == spacing


def test_starts_are_frames_of_a_reference_far_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shaken = [0.01 * rng.normal(size=(2, 50, 4, 3)) for _ in range(3)]
    runs = [
        replace(run, positions=run.positions + noise[0], velocities=noise[1])
        for run, noise in zip(rising([0.0, 1.0, 2.0], 50), shaken, strict=True)
    ]
    starts = script("starts").reference_starts(12, str(store(tmp_path / "r.h5", runs)))
    places = {(start.positions[0, 0], start.positions[1, 2]) for start in starts}
    assert len(places) == 12, "no two replicas begin alike"
    np.testing.assert_allclose(State.from_atoms(starts[:1]).velocities.numpy(), shaken[0][1][0], rtol=1e-5, atol=1e-9)


def test_figures_tell_what_holds_from_what_is_open(tmp_path: Path) -> None:
    figures = script("figures")

    def row(measured: float | None, error: float | None = None) -> Row:
        return Row("f", "<= 2 %", measured, "%", holds=False, seeds=1, command="c", error=error)

    assert figures.cell(row(1.23456, 0.0123)) == "1.23 ± 0.01 %"
    assert figures.cell(row(None)) == "not measured %"
    assert figures.line("n", row(3.0)) == "| n | f | <= 2 % | 3 % | **missed** |"
    assert figures.line("n", row(3.0, 0.6)) == "| n | f | <= 2 % | 3 ± 0.6 % | undecided |"
    page = tmp_path / "page.md"
    page.write_text(f"a\n{figures.BEGIN}\nold\n{figures.END}\nb\n")
    figures.put(page, ["| new |"])
    figures.put(page, ["| newer |"])
    assert page.read_text() == f"a\n{figures.BEGIN}\n| newer |\n{figures.END}\nb\n"


def test_results_of_scripts_lie_beside_them_and_can_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = script("rows")
    assert module.RESULTS == SCRIPTS / "results"
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["/somewhere/benchmarks/nve.py", "--model", "my model"])
    table = module.Table("nve")
    table.add("drift", 1.5, "meV", at_most=1.0, seeds=2, error=0.1)
    (saved,) = json.loads(table.save().read_text(encoding="utf-8"))
    assert saved["command"] == "python benchmarks/nve.py --model 'my model'"
    assert (tmp_path / "nve.json").is_file()
    assert Row(**saved).verdict == "missed"
