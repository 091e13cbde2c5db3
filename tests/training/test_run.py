"""Training end to end: it learns, it resumes exactly, and it refuses what it cannot do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import molecule
from lightning.pytorch.strategies import SingleDeviceStrategy
from safetensors.torch import load_file
from torch import Tensor

from forcefree.data.h5md import write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.files import load
from forcefree.state import State
from forcefree.training.callbacks import StopWhenBothStall
from forcefree.training.config import TrainingConfig
from forcefree.training.loss import Scales, unrolled_loss
from forcefree.training.module import ForecasterModule
from forcefree.training.report import error_table
from forcefree.training.run import train
from forcefree.training.windows import WindowSource

pytestmark = pytest.mark.filterwarnings("ignore")


def configuration(store: Path, output: Path, **changes: Any) -> TrainingConfig:
    values: dict[str, Any] = {
        "data": {"files": [str(store)], "validation_fraction": 0.2},
        "model": {"name": "tiny", "t_max": 5.0, "cutoff": 4.0, "options": {"channels": 8, "layers": 1, "refinements": 1, "nodes": 2}},
        "optimizer": {"steps": 40, "warmup": 5, "batch": 16, "learning_rate": 0.01, "ema": 0.9},
        "validation": {"every": 20, "windows": 32, "rollouts": 4, "segments": 2},
        "output": str(output),
    }
    return TrainingConfig.parse(values | changes, "test")


def test_only_the_first_runs_of_every_file_are_taken_when_told_so(store: Path, tmp_path: Path, trajectories: list[Trajectory]) -> None:
    model: dict[str, Any] = {"steps": 2, "warmup": 1, "batch": 4}
    data = {"files": [str(store), str(store)], "validation_fraction": 0.2, "runs": 2}
    card = load(train(configuration(store, tmp_path / "m.safetensors", data=data, optimizer=model), progress=False)).card
    assert len(trajectories) > 2
    assert card.training["trajectories"] == 4
    spans = [run.times[-1] - run.times[0] for run in trajectories[:2]]
    assert card.training["picoseconds"] == pytest.approx(2.0 * sum(spans) / 1000.0, abs=1e-3)


def test_a_trained_model_beats_free_flight_on_held_out_runs(store: Path, tmp_path: Path, trajectories: list[Trajectory]) -> None:
    config = configuration(
        store, tmp_path / "m.safetensors", optimizer={"steps": 120, "warmup": 10, "batch": 24, "learning_rate": 0.02, "ema": 0.9}
    )
    path = train(config, progress=False)
    model = load(path)
    assert model.card.name == "tiny"
    assert model.card.species == [1, 8]
    assert model.card.training["picoseconds"] == pytest.approx(0.714)
    assert len(model.card.training["data_sha256"]) == 64
    assert 0.0 < model.card.training["processor_seconds"] < 600.0
    assert 0.8 < model.card.guards["longest_bond"]["1-8"] < 1.4
    row = error_table(model, WindowSource(trajectories, 5.0).draw(64, 0))[-1]
    assert row["position_pm"] < 0.4 * row["free_flight_pm"]
    assert row["velocity_percent"] < 0.4 * row["free_flight_velocity_percent"]
    report = json.loads((config.folder / "training-report.json").read_text())
    assert report["history"][-1]["val_one_step"] < report["history"][0]["val_one_step"]
    assert "data:image/png;base64," in (config.folder / "training-report.html").read_text()
    assert (config.folder / "csv-0" / "metrics.csv").is_file()


def with_energies(trajectories: list[Trajectory]) -> list[Trajectory]:
    """The springs with energies that are not theirs but smooth in the positions."""
    return [replace(t, energies=-100.0 + 5.0 * np.linalg.norm(t.positions[:, 0] - t.positions[:, 1], axis=-1)) for t in trajectories]


def test_an_energy_head_is_trained_beside_the_forecast_and_reported(trajectories: list[Trajectory], tmp_path: Path) -> None:
    store = tmp_path / "energies.h5"
    write_store(store, with_energies(trajectories))
    config = configuration(store, tmp_path / "m.safetensors", potential_weight=1.0)
    model = load(train(config, progress=False))
    assert model.card.energy == config.model.energy
    errors = model.card.training["validation"]
    assert 0.0 < errors["val_change_mae"] < 2.0 * errors["val_potential_mae"]
    report = json.loads((config.folder / "training-report.json").read_text())["energy"]
    assert 0.0 < report["change"] < 2.0 * report["no_skill_change"]
    assert "Energy head" in (config.folder / "training-report.html").read_text()
    validated = [row["val_one_step"] for row in json.loads((config.folder / "training-report.json").read_text())["history"]]
    assert validated[-1] > errors["val_one_step"], "the energy counts when weights are chosen"
    plain = load(train(configuration(store, tmp_path / "plain.safetensors"), progress=False))
    assert plain.card.energy is None
    assert not plain.knows_energy


def test_an_energy_head_needs_energies_in_the_data(store: Path, tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match="potential_weight needs potential energies in every trajectory"):
        train(configuration(store, tmp_path / "m.safetensors", potential_weight=1.0), progress=False)


def worsens_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Climb instead of descending from ``step`` on."""
    original = ForecasterModule.training_step

    def climbs(self: ForecasterModule, batch: Any, batch_idx: int) -> Any:
        loss = original(self, batch, batch_idx)
        return loss if self.global_step < step else -loss

    monkeypatch.setattr(ForecasterModule, "training_step", climbs)


@pytest.mark.parametrize("patience", [20, 1], ids=["runs to its end", "stops early"])
def test_the_model_has_the_averaged_weights_of_the_best_validation(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    worsens_after(40, monkeypatch)
    validation = {"every": 20, "windows": 32, "rollouts": 4, "segments": 2, "patience": patience}
    config = configuration(store, tmp_path / "m.safetensors", validation=validation)
    config = config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"steps": 100})})
    made = load(train(config, progress=False)).card.training
    history = json.loads((config.folder / "training-report.json").read_text())["history"]
    errors = [row["val_one_step"] for row in history]
    best = errors.index(min(errors))
    assert best < len(errors) - 1
    assert made["chosen_step"] == 20 * (best + 1)
    assert made["steps"] == (100 if patience == 20 else 20 * len(errors)) > made["chosen_step"]
    assert made["validation"]["val_one_step"] == pytest.approx(min(errors), rel=1e-5)


def test_a_training_resumed_after_its_best_step_still_knows_it(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worsens_after(20, monkeypatch)
    steps = {"steps": 60, "warmup": 5, "batch": 16, "learning_rate": 0.01, "ema": 0.9}
    whole = load_file(train(configuration(store, tmp_path / "whole.safetensors", optimizer=steps), progress=False))

    config = configuration(store, tmp_path / "cut.safetensors", optimizer=steps)
    dies_at(50, monkeypatch)
    with pytest.raises(RuntimeError, match="killed"):
        train(config, progress=False)
    monkeypatch.undo()
    worsens_after(20, monkeypatch)
    resumed = train(config, resume=True, progress=False)
    assert load(resumed).card.training["chosen_step"] == 20
    found = load_file(resumed)
    assert all(torch.equal(tensor, found[name]) for name, tensor in whole.items())


def test_resuming_on_other_data_is_refused(trajectories: list[Trajectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data.h5"
    write_store(data, trajectories)
    config = configuration(data, tmp_path / "m.safetensors")
    dies_at(30, monkeypatch)
    with pytest.raises(RuntimeError, match="killed"):
        train(config, progress=False)
    before = (config.folder / "last.ckpt").read_bytes()
    write_store(data, trajectories[::-1])
    with pytest.raises(ForcefreeError, match=r"the data have changed since this training began \(SHA-256 .*restore .*data.h5"):
        train(config, resume=True, progress=False)
    assert (config.folder / "last.ckpt").read_bytes() == before


def dies_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail at ``step`` as a kill would."""
    original = ForecasterModule.training_step

    def dies(self: ForecasterModule, batch: Any, batch_idx: int) -> Any:
        if self.global_step == step:
            raise RuntimeError("killed")
        return original(self, batch, batch_idx)

    monkeypatch.setattr(ForecasterModule, "training_step", dies)


def test_a_resumed_training_ends_with_the_same_weights(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(configuration(store, tmp_path / "whole.safetensors"), progress=False)

    interrupted = configuration(store, tmp_path / "cut.safetensors")
    dies_at(30, monkeypatch)
    with pytest.raises(RuntimeError, match="killed"):
        train(interrupted, progress=False)
    assert not interrupted.output.exists()
    monkeypatch.undo()
    resumed = train(interrupted, resume=True, progress=False)

    expected, found = load_file(whole), load_file(resumed)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


def test_existing_output_missing_checkpoint_and_other_configuration_are_refused(store: Path, tmp_path: Path) -> None:
    config = configuration(store, tmp_path / "m.safetensors", optimizer={"steps": 2, "warmup": 1, "batch": 2})
    with pytest.raises(ForcefreeError, match="no checkpoint"):
        train(config, resume=True, progress=False)
    train(config, progress=False)
    with pytest.raises(ForcefreeError, match="exists already"):
        train(config, progress=False)
    other = configuration(store, tmp_path / "m.safetensors", optimizer={"steps": 3, "warmup": 1, "batch": 2})
    config.output.unlink()
    with pytest.raises(ForcefreeError, match="differs from this configuration"):
        train(other, resume=True, progress=False)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"output": "m.pt"}, "must end in .safetensors"),
        ({"optimizer": {"steps": 5, "warmup": 9}}, "must not exceed"),
        ({"optimizer": {"name": "lion"}}, "optimizer.name"),
        ({"speed": 3}, "speed: is not an option here"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0"),
        ({"seed": 2**32}, "seed: input should be less than 4294967296"),
        ({"own_past": True}, "own_past needs unroll of at least 2, not 1; the first forecast always has a true past"),
        ({"model": {"name": "x", "t_max": "ten"}}, "is not a duration"),
    ],
)
def test_wrong_configurations_end_in_a_sentence(store: Path, tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        TrainingConfig.parse(configuration(store, tmp_path / "m.safetensors").model_dump(mode="json") | changes, "test")


def test_unknown_architecture_and_data_are_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match="architecture 'oracle' is unknown"):
        train(configuration(store, tmp_path / "a.safetensors", model={"name": "x", "architecture": "oracle", "t_max": 5.0}), progress=False)
    with pytest.raises(ForcefreeError, match="does not exist"):
        train(configuration(tmp_path / "none.h5", tmp_path / "b.safetensors"), progress=False)
    fixed = {"name": "x", "t_max": 5.0, "options": {"head": "fixed", "refinements": 2}}
    with pytest.raises(ForcefreeError, match="refinements need"):
        train(configuration(store, tmp_path / "c.safetensors", model=fixed), progress=False)


def test_the_unrolled_loss_of_one_segment_is_the_plain_loss_and_gradients_flow_through_two(
    trajectories: list[Trajectory], store: Path, tmp_path: Path
) -> None:
    from forcefree.training.run import _model

    config = configuration(store, tmp_path / "m.safetensors", unroll=2)
    one, two = WindowSource(trajectories, 5.0, seed=1), WindowSource(trajectories, 10.0, seed=1)
    torch.manual_seed(0)
    model = _model(config, trajectories, one, "0" * 64)
    scales = Scales.measure(one, 64)
    windows = two.draw(8, 0)
    both = unrolled_loss(model, windows, scales, unroll=2)
    both.backward()
    assert all(p.grad is not None for p in model.network.parameters())
    halves = [
        unrolled_loss(model, type(windows)(windows.history, windows.times[:5], windows.positions[:5], windows.velocities[:5]), scales)
    ]
    assert both.item() > 0.4 * halves[0].item()


def test_training_stops_only_when_both_errors_stall() -> None:
    class Clock:
        sanity_checking, should_stop, strategy = False, False, SingleDeviceStrategy()
        callback_metrics: dict[str, float]

    stopper, trainer = StopWhenBothStall(patience=2), Clock()
    for one_step, rollout in ((1.0, 1.0), (1.0, 0.9), (0.9, 0.9), (0.9, 0.9)):
        trainer.callback_metrics = {"val_one_step": one_step, "val_rollout": rollout}
        stopper.on_validation_end(trainer, None)  # type: ignore[arg-type]
        assert not trainer.should_stop
    restored = StopWhenBothStall(patience=2)
    restored.load_state_dict(stopper.state_dict())
    restored.on_validation_end(trainer, None)  # type: ignore[arg-type]
    assert trainer.should_stop


def test_a_finished_training_is_written_again_with_the_same_averaged_weights(store: Path, tmp_path: Path) -> None:
    """As after a crash between the last checkpoint and the model file."""
    config = configuration(store, tmp_path / "m.safetensors")
    expected = load_file(train(config, progress=False))
    errors = load(config.output).card.training["validation"]
    with pytest.raises(ForcefreeError, match="finished already"):
        train(config, resume=True, progress=False)
    config.output.unlink()
    found = load_file(train(config, resume=True, progress=False))
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    validation = load(config.output).card.training["validation"]
    assert validation == pytest.approx(errors, nan_ok=True)
    assert validation["val_one_step"] > 0.0


def test_the_fixed_head_is_trained_on_its_interval_alone(store: Path, tmp_path: Path, trajectories: list[Trajectory]) -> None:
    options = {"channels": 8, "layers": 2, "refinements": 0, "head": "fixed"}
    config = configuration(
        store,
        tmp_path / "m.safetensors",
        model={"name": "fixed", "t_max": 5.0, "cutoff": 4.0, "options": options},
        optimizer={"steps": 120, "warmup": 10, "batch": 24, "learning_rate": 0.02, "ema": 0.9},
    )
    model = load(train(config, progress=False))
    assert model.card.fixed_times == [5.0]
    windows = WindowSource(trajectories, 5.0, stride=5).draw(64, 0)
    (row,) = error_table(model, windows)
    assert row["time"] == 5.0
    assert row["position_pm"] < 0.7 * row["free_flight_pm"]
    with pytest.raises(ForcefreeError, match="no forecast at 2 fs"):
        model.propagate(windows.history[0], 2.0)


def test_training_after_a_rollout_of_the_same_shape(trajectories: list[Trajectory], store: Path, tmp_path: Path) -> None:
    """Pairs that were found without gradients are not kept for a step with them."""
    config = configuration(store, tmp_path / "m.safetensors", validation={"every": 2, "windows": 8, "rollouts": 16, "segments": 2})
    config = config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"steps": 6})})
    assert train(config, progress=False).is_file()


def test_unknown_elements_are_refused_from_python_too(store: Path, tmp_path: Path) -> None:
    config = configuration(store, tmp_path / "m.safetensors", optimizer={"steps": 2, "warmup": 1, "batch": 2})
    model = load(train(config, progress=False))
    with pytest.raises(ForcefreeError, match="knows the elements H, O, not N"):
        model.propagate(State.from_atoms([molecule("NH3")]), 5.0)


def test_a_model_of_several_frames_cannot_be_asked_to_retrace_its_path(store: Path, tmp_path: Path) -> None:
    model = {"name": "window", "architecture": "asteroid", "t_max": 5.0, "cutoff": 4.0}
    config = configuration(store, tmp_path / "m.safetensors", model=model, reversal_weight=1.0)
    with pytest.raises(ForcefreeError, match="reversal_weight is for models of one frame, and window sees several"):
        train(config, progress=False)


def test_a_training_that_diverges_is_one_sentence_and_no_model(store: Path, tmp_path: Path) -> None:
    wild = {"steps": 10, "warmup": 1, "batch": 4, "learning_rate": 1e3}
    config = configuration(store, tmp_path / "m.safetensors", optimizer=wild)
    with pytest.raises(
        ForcefreeError, match=r"diverged: the loss was not a finite number at step \d.* smaller .*learning_rate \(now 1000\)"
    ) as caught:
        train(config, progress=False)
    assert "\n" not in str(caught.value)
    assert not config.output.exists()


def test_gradients_that_are_no_numbers_are_one_sentence_too(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steep(*arguments: Any, **options: Any) -> Tensor:
        """A finite loss with a slope that is not."""
        loss = unrolled_loss(*arguments, **options)
        return loss + (loss - loss.detach()).abs().sqrt() if torch.is_grad_enabled() else loss

    monkeypatch.setattr("forcefree.training.module.unrolled_loss", steep)
    soap = {"name": "soap", "steps": 4, "warmup": 1, "batch": 4}
    config = configuration(store, tmp_path / "m.safetensors", optimizer=soap)
    with pytest.raises(ForcefreeError, match=r"training diverged: gradients were not finite at step 0, so no model is written"):
        train(config, progress=False)
    assert not config.output.exists()


def test_errors_that_are_no_numbers_at_the_end_are_no_model_either(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last steps of a training were not looked at."""
    monkeypatch.setattr("forcefree.training.run._metrics", lambda *_: {"val_one_step": float("nan")})
    config = configuration(store, tmp_path / "m.safetensors", optimizer={"steps": 2, "warmup": 1, "batch": 4})
    with pytest.raises(ForcefreeError, match=r"training diverged: its errors on held-out windows are not finite, so no model is written"):
        train(config, progress=False)
    assert not config.output.exists()


def test_a_file_and_its_keys_are_as_good_as_a_configuration(store: Path, tmp_path: Path) -> None:
    values = configuration(store, tmp_path / "m.safetensors", optimizer={"steps": 2, "warmup": 1, "batch": 4}).model_dump(mode="json")
    (tmp_path / "train.yaml").write_text(json.dumps(values))  # JSON is YAML
    paths = [train(values, progress=False)]
    for given in (tmp_path / "train.yaml", str(tmp_path / "train.yaml")):
        with pytest.raises(ForcefreeError, match=r"m.safetensors or its checkpoint exists already"):
            train(given, progress=False)
    assert paths == [tmp_path / "m.safetensors"]
    with pytest.raises(ForcefreeError, match="the configuration: data: is needed but missing"):
        train({"model": values["model"], "output": values["output"]})


def test_a_model_of_one_frame_has_no_past_of_its_own(store: Path, tmp_path: Path) -> None:
    config = configuration(store, tmp_path / "m.safetensors", own_past=True, unroll=2)
    with pytest.raises(ForcefreeError, match="own_past is for models of several frames, and tiny sees one; leave it out"):
        train(config, progress=False)
    assert not config.folder.exists()


def test_runs_that_do_not_say_how_warm_they_are_can_be_trained_on(trajectories: list[Trajectory], store: Path, tmp_path: Path) -> None:
    """As those of a simulation without a temperature."""
    from forcefree.training.run import _model

    told = [{"temperature": None}, {"temperature": 350}, {}, {"temperature": 300.0}, {"temperature": 300.0}]
    runs = [replace(run, provenance=provenance) for run, provenance in zip(trajectories, told, strict=False)]
    model = _model(configuration(store, tmp_path / "m.safetensors"), runs, WindowSource(runs, 5.0), "0" * 64)
    assert model.card.temperatures == [300.0, 350.0]


@pytest.mark.parametrize("decay", [0.0, 0.75])
def test_what_is_written_is_the_running_average_of_the_weights_from_the_end_of_the_warmup(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decay: float
) -> None:
    original, seen = ForecasterModule.training_step, []

    def noted(self: ForecasterModule, batch: Any, batch_idx: int) -> Any:
        seen.append({name: tensor.clone() for name, tensor in self.model.state_dict().items()})
        return original(self, batch, batch_idx)

    monkeypatch.setattr(ForecasterModule, "training_step", noted)
    monkeypatch.setattr("forcefree.training.run.write_training_report", lambda *_, **__: None)
    optimizer = {"name": "adam", "steps": 5, "warmup": 2, "batch": 4, "ema": decay}
    validation = {"every": 4, "windows": 4, "rollouts": 2, "segments": 1}
    found = load_file(train(configuration(store, tmp_path / "m.safetensors", optimizer=optimizer, validation=validation), progress=False))

    assert len(seen) == 5
    for name, averaged in seen[2].items():
        for later in seen[3:]:
            averaged = decay * averaged + (1.0 - decay) * later[name]
        torch.testing.assert_close(found[name], averaged, rtol=1e-5, atol=1e-7)
