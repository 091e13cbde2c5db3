"""The MD17 protocol on dynamics that are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from typer.testing import CliRunner

from forcefree.benchmark import fitting
from forcefree.benchmark.alignment import squared_errors, superposed
from forcefree.benchmark.fitting import Recipe, fit
from forcefree.benchmark.md17 import asked_alone, errors, forecast_of, per_time
from forcefree.benchmark.md17_blocks import read_whole
from forcefree.benchmark.md17_data import find_molecules, read_heavy
from forcefree.benchmark.md17_models import MODELS, TableModel, models_named
from forcefree.benchmark.md17_splits import Split, split_of
from forcefree.benchmark.md17_start import as_reference, heavy_card
from forcefree.benchmark.md17_tasks import fresh_offsets, irregular_offsets, task_of, uniform_offsets
from forcefree.benchmark.no_skill import mean_of_superposed, no_skill_forecasts, rigid_turn
from forcefree.cli.main import app
from forcefree.errors import ForcefreeError
from forcefree.models.registry import build_model
from forcefree.state import State


@pytest.fixture
def split(folder: Path) -> Split:
    """The published split of the spinner."""
    return split_of("legacy", len(read_heavy(folder / "md17_spinner.npz")))


def test_times_are_those_of_the_protocol() -> None:
    assert uniform_offsets(2).tolist() == [[375, 750, 1125, 1500, 1875, 2250, 2625, 3000]] * 2
    drawn = irregular_offsets(2000)
    assert drawn.shape == (2000, 8)
    assert bool((np.diff(drawn, axis=1) > 0).all())
    assert drawn.min() >= 1
    assert drawn.max() <= 3000
    assert drawn[:, -1].mean() == pytest.approx(8 / 9 * 3001, rel=0.01)
    assert np.array_equal(drawn, irregular_offsets(2000))


def test_fresh_times_are_those_that_can_be_asked_for() -> None:
    drawn = fresh_offsets(4000, np.random.default_rng(0))
    assert (drawn.min(), drawn.max()) == (1, 3000)
    assert bool((np.diff(drawn, axis=1) >= 0).all())
    assert drawn.mean() == pytest.approx(1500.5, rel=0.01)


def test_errors_are_mean_squares_of_the_last_time_and_of_all(folder: Path) -> None:
    """Of a forecast that is off by a growing shift, which superposition takes out."""
    task = task_of(read_heavy(folder / "md17_spinner.npz"), np.arange(11_000, 11_200), "uniform")
    _, times, true = task.batch(slice(None))
    shift = 1e-3 * times[:, :1, None] * torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    raw, aligned = per_time(lambda *_: true + shift, task)
    np.testing.assert_allclose(raw, (1e-3 * 0.5 * uniform_offsets(1)[0]) ** 2 / 3.0, rtol=1e-9)
    np.testing.assert_allclose(aligned, 0.0, atol=1e-12)
    np.testing.assert_allclose(errors(lambda *_: true + shift, task), [100.0 * raw[-1], 100.0 * raw.mean(), 0.0, 0.0], atol=1e-10)


def test_a_forecast_that_looks_at_the_other_times_is_caught(folder: Path) -> None:
    task = task_of(read_heavy(folder / "md17_spinner.npz"), np.arange(11_000, 11_010), "uniform")

    def peeking(state: State, times: torch.Tensor) -> torch.Tensor:
        return (state.positions + 0.01 * len(times)).expand(len(times), -1, -1)

    assert asked_alone(peeking, task) == pytest.approx(0.07)
    assert asked_alone(lambda state, times: state.positions.expand(len(times), -1, -1), task) == 0.0


def test_a_rigid_turn_is_the_motion_of_a_free_top_that_cannot_tumble() -> None:
    state = State.from_atoms([Atoms("OO", positions=[[0.5, 1.0, 0.0], [-0.5, 1.0, 0.0]]), Atoms("C", positions=[[3.0, 0.0, 0.0]])])
    rate = 0.03
    state = state.with_(velocities=torch.tensor([[0.0, 0.5 * rate, 0.0], [0.0, -0.5 * rate, 0.0], [0.01, 0.0, 0.0]]).double())
    times = torch.tensor([[10.0, 1.0], [50.0, 2.0]], dtype=torch.float64)
    found = rigid_turn(state, times)
    angle = rate * times[:, 0]
    expected = torch.stack([0.5 * angle.cos(), 1.0 + 0.5 * angle.sin(), torch.zeros(2)], dim=1)
    torch.testing.assert_close(found[:, 0], expected.double(), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(found[:, 2], state.positions[2].expand(2, 3), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("validated", "best", "steps"),
    [([3.0, 1.0, 2.0, 2.0, 0.5], 1, 8), ([3.0, 1.0, 2.0, 0.5, 4.0], 3, 10), ([1.0, 1.0, 1.0, 0.1, 0.1], 0, 6)],
)
def test_the_best_look_is_kept_and_too_long_a_wait_for_a_better_one_ends_the_training(
    folder: Path, split: Split, monkeypatch: pytest.MonkeyPatch, validated: list[float], best: int, steps: int
) -> None:
    seen: list[torch.Tensor] = []

    def look(model: torch.nn.Module, *_: object) -> float:
        seen.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
        return validated[len(seen) - 1]

    monkeypatch.setattr(fitting, "validated", look)
    trajectory = read_heavy(folder / "md17_spinner.npz")
    train, validation = (task_of(trajectory, starts[:8], "irregular") for starts in (split.train, split.validation))
    recipe = Recipe(steps=10, batch=4, looks=5, patience=2)
    fitted = fit(TableModel("egnn", {"channels": 4, "layers": 1}), train, validation, recipe, seed=1)
    assert (fitted.steps, fitted.validation) == (steps, validated[best])
    kept = torch.cat([parameter.detach().flatten() for parameter in fitted.model.parameters()])
    assert [torch.equal(kept, weights) for weights in seen] == [index == best for index in range(len(seen))]


def test_hydrogens_are_left_out_and_velocities_are_differences(folder: Path) -> None:
    trajectory = read_heavy(folder / "md17_spinner.npz")
    assert trajectory.numbers.tolist() == [6, 6, 8]
    assert trajectory.surrogate == "surrogate: a spinner"
    assert trajectory.label == "spinner (surrogate)"
    assert replace(trajectory, surrogate=None).label == "spinner", "a published file"
    state = trajectory.start_state(np.array([5, 100]))
    expected = (trajectory.positions[101] - trajectory.positions[100]) / 0.5
    np.testing.assert_allclose(state.velocities[3:].numpy(), expected, atol=1e-6)
    targets = trajectory.targets(np.array([5, 100]), np.array([[1, 10], [2, 30]]))
    np.testing.assert_array_equal(targets[1, 3:].numpy(), trajectory.positions[130])


def test_superposition_undoes_a_rigid_motion_and_no_reflection() -> None:
    structures = torch.randn(4, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    rotation = rotation * torch.linalg.det(rotation)
    torch.testing.assert_close(superposed(structures @ rotation + 3.0, structures), structures, rtol=0.0, atol=1e-12)
    raw, aligned = squared_errors((-structures).flatten(0, 1)[None], structures.flatten(0, 1)[None], 5)
    assert bool((aligned < raw).all())
    assert float(aligned.min()) > 1e-3


def test_only_a_rigid_turn_follows_a_spinner(folder: Path, split: Split) -> None:
    trajectory = read_heavy(folder / "md17_spinner.npz")
    task = task_of(trajectory, split.test[:100], "uniform")
    found = {name: errors(forecast, task) for name, forecast in no_skill_forecasts(trajectory, split.train).items()}
    assert found["rigid turn"][1] < 0.05
    assert found["copy of the start"][0] > 10.0
    assert found["free flight"][0] > found["copy of the start"][0]
    assert found["mean structure"][0] > 10.0
    for name in ("copy of the start", "mean shape on the start", "rigid turn"):
        assert found[name][2] < 1e-3, "the shape never changes"


@pytest.mark.parametrize("name", ["network", "network-learned", "gfnode-and-network"])
def test_training_learns_what_turns(folder: Path, split: Split, name: str) -> None:
    trajectory = read_heavy(folder / "md17_spinner.npz")
    train, validation = (task_of(trajectory, starts, "irregular") for starts in (split.train, split.validation))
    small = replace(MODELS[name], options=MODELS[name].options | {"channels": 8, "layers": 1, "steps": 4})
    fitted = fit(small, train, validation, Recipe(steps=80, batch=16, learning_rate=1e-2, looks=5, validated=250), seed=0)
    test = task_of(trajectory, split.test[:50], "uniform")
    untrained = build_model(fitted.model.card)
    found = errors(forecast_of(fitted.model), test)
    assert found[1] < 0.5 * errors(forecast_of(untrained), test)[1]
    assert found[1] < 0.5 * errors(no_skill_forecasts(trajectory, split.train)["copy of the start"], test)[1]
    assert fitted.parameters == sum(parameter.numel() for parameter in untrained.parameters())


@pytest.mark.parametrize(("name", "independent"), [("gfnode", True), ("network", True), ("egnn", True), ("egno", False)])
def test_other_times_that_are_asked_for_change_egno_alone(folder: Path, split: Split, name: str, independent: bool) -> None:
    trajectory = read_heavy(folder / "md17_spinner.npz")
    train, validation = (task_of(trajectory, starts, "irregular") for starts in (split.train, split.validation))
    fitted = fit(MODELS[name], train, validation, Recipe(steps=4, batch=8, looks=1, validated=20), seed=0)
    change = asked_alone(forecast_of(fitted.model.double()), validation)
    assert (change < 1e-12) is independent, change


def test_baselines_are_matched_in_parameters() -> None:
    sizes = {}
    for name in ("network", "network-learned", "egnn", "egno"):
        model = build_model(heavy_card(MODELS[name].architecture, MODELS[name].options, [6, 8]))
        sizes[name] = sum(parameter.numel() for parameter in model.parameters())
    assert max(sizes.values()) < 1.25 * min(sizes.values()), sizes


def test_a_reference_is_the_mean_shape_along_its_axes_and_flat_where_it_is_flat() -> None:
    rng = np.random.default_rng(0)
    shape = np.array([[0.0, 0.0, 0.0], [1.4, 0.0, 0.0], [2.1, 1.2, 0.0], [3.5, 1.2, 0.0]])
    frames = torch.from_numpy(shape @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + rng.normal(0.0, 0.03, (400, 4, 3)))
    made = as_reference(np.array([8, 6, 6, 8]), mean_of_superposed(frames))
    positions = torch.tensor(made["positions"], dtype=torch.float64)
    assert made["numbers"] == [8, 6, 6, 8]
    assert positions[:, 2].abs().max() == 0.0
    inertia = positions.T @ positions
    assert (inertia - torch.diag(inertia.diag())).abs().max() < 1e-4
    torch.testing.assert_close(torch.cdist(positions, positions), torch.cdist(*[torch.from_numpy(shape)] * 2), rtol=0.0, atol=0.02)


@pytest.fixture(scope="module")
def shaker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planar molecule that never turns and vibrates out of step in three modes of incommensurate periods."""
    path = tmp_path_factory.mktemp("shaker") / "md17_shaker.npz"
    shape = np.array([[0.0, 0.0, 0.0], [1.4, 0.0, 0.0], [2.1, 1.2, 0.0], [3.5, 1.2, 0.0], [4.5, 1.2, 0.0]])
    modes = np.array(
        [
            [[0, 1, 0], [0, -2, 0], [0, 1, 0], [0, 0, 0]],
            [[0, 0, 1], [0, 0, -1], [0, 0, -1], [0, 0, 1]],
            [[1, 0, 0], [0] * 3, [0] * 3, [-1, 0, 0]],
        ]
    )
    time = 0.5 * np.arange(42_000)
    swing = [0.06 * np.cos(2.0 * np.pi * time / period) for period in (61.0, 137.0, 29.0)]
    positions = np.broadcast_to(shape, (len(time), 5, 3)).copy()
    positions[:, :4] += np.einsum("mt,mna->tna", np.array(swing), modes)
    np.savez(path, R=positions, z=np.array([8, 6, 6, 8, 1], dtype=np.uint8), surrogate=np.array("surrogate: a shaker"))
    return path


def test_vibrations_are_followed_for_a_picosecond_and_the_mean_shape_is_beaten(shaker: Path) -> None:
    trajectory = read_heavy(shaker)
    split = split_of("legacy", len(trajectory))
    train, validation = (task_of(trajectory, starts, "irregular") for starts in (split.train, split.validation))
    fitted = fit(MODELS["gfnode"], train, validation, Recipe(steps=250, learning_rate=1e-2, looks=5, validated=100), seed=0)
    test = task_of(trajectory, split.test[:100], "uniform")
    blind = errors(no_skill_forecasts(trajectory, split.train)["mean shape on the start"], test)
    found = errors(forecast_of(fitted.model), test)
    assert blind[0] > 0.1
    assert bool((found < 0.25 * blind).all()), (found, blind)


def test_one_command_makes_a_labelled_table(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "md17.json"
    arguments = ["benchmark", "md17", "--data", str(folder), "--model", "gfnode", "--split", "legacy", "--sampling", "uniform"]
    result = CliRunner().invoke(app, [*arguments, "--seeds", "2", "--steps", "2", "--test", "20", "--horizons", "--output", str(output)])
    assert result.exit_code == 0, result.output
    rows = {row["figure"]: row for row in json.loads(output.read_text())}
    row = rows["spinner (surrogate), legacy, uniform, gfnode: S2T aligned"]
    assert row["seeds"] == 2
    assert row["unit"] == "1e-2 Å^2"
    assert row["error"] is not None
    assert rows["spinner (surrogate), legacy, rigid turn: at 1500 fs"]["measured"] < 0.1
    assert all("(surrogate)" in figure for figure in rows)


def test_unusable_files_and_names_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match=r"md17_none\.npz does not exist"):
        read_heavy(tmp_path / "md17_none.npz")
    np.savez(tmp_path / "rmd17.npz", coords=np.zeros((2, 3, 3)))
    with pytest.raises(ForcefreeError, match="has no keys R and z"):
        read_heavy(tmp_path / "rmd17.npz")
    np.savez(tmp_path / "bad.npz", R=np.full((2, 3, 3), np.nan), z=np.array([6, 6, 1]))
    with pytest.raises(ForcefreeError, match="is damaged"):
        read_heavy(tmp_path / "bad.npz")
    whole = tmp_path / "md17_cut.npz"
    np.savez_compressed(whole, R=np.random.default_rng(0).normal(size=(50, 3, 3)), z=np.array([6, 6, 1]))
    content = whole.read_bytes()
    for broken in (content[:200], content[:100] + bytes(40) + content[140:]):
        whole.write_bytes(broken)
        for read in (read_heavy, read_whole):
            with pytest.raises(
                ForcefreeError, match=r"cut\.npz(: array 'R' cannot be read| is not a complete npz archive) .*(damaged|again)"
            ):
                read(whole)
    np.savez(tmp_path / "odd.npz", R=np.zeros((2, 4, 3)), z=np.array([6, 6, 1]))
    with pytest.raises(ForcefreeError, match=r"is damaged: positions of shape \(2, 4, 3\) for 3 atoms"):
        read_heavy(tmp_path / "odd.npz")
    with pytest.raises(ForcefreeError, match="there is no model 'schnet'"):
        models_named(["schnet"])
    assert list(models_named(["egnn", "gfnode"])) == ["egnn", "gfnode"]


def test_files_are_found_by_the_names_of_molecules(tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match=r"has no file md17_NAME\.npz; make surrogates with"):
        find_molecules(tmp_path, [])
    for name in ("uracil", "aspirin"):
        (tmp_path / f"md17_{name}.npz").touch()
    (tmp_path / "other.npz").touch()
    assert [path.name for path in find_molecules(tmp_path, [])] == ["md17_aspirin.npz", "md17_uracil.npz"]
    assert find_molecules(tmp_path, ["uracil"]) == [tmp_path / "md17_uracil.npz"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--sampling", "often"], "there is no sampling 'often'; there are uniform, irregular"),
        (["--split", "random"], "there is no split 'random'; there are legacy, blocked"),
        (["--model", "schnet"], "there is no model 'schnet' in this benchmark"),
        (["--molecule", "water"], "md17_water.npz does not exist"),
    ],
)
def test_wrong_words_on_the_command_line_are_one_sentence(folder: Path, tmp_path: Path, words: list[str], sentence: str) -> None:
    output = tmp_path / "md17.json"
    result = CliRunner().invoke(app, ["benchmark", "md17", "--data", str(folder), "--steps", "1", "--output", str(output), *words])
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not output.exists()
