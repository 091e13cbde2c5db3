"""Fine-tuning: what was learnt stays until it is trained on, frozen blocks stay for good, new elements join."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import molecule
from torch import Tensor

from forcefree.data.h5md import write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.files import load, save_model
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model
from forcefree.simulation import simulate
from forcefree.state import State
from forcefree.training.config import TrainingConfig
from forcefree.training.initial import _merged, with_species
from forcefree.training.loss import unrolled_loss
from forcefree.training.run import train
from forcefree.training.windows import WindowSource

pytestmark = pytest.mark.filterwarnings("ignore")
OPTIONS: dict[str, Any] = {"channels": 8, "matrix_channels": 4, "heads": 2, "layers": 1, "refinements": 1, "nodes": 2, "filter_width": 8}


@pytest.fixture
def initial() -> Forecaster:
    torch.manual_seed(1)
    guards = {"closest": {"1-8": 0.5, "8-8": 1.0}, "max_temperature": 900.0}
    card = Card(
        name="old", model="mdtrajnet", options=OPTIONS, species=[1, 8], t_max=5.0, cutoff=4.0, guards=guards, training={"by": "hand"}
    )
    return build_model(card)


@pytest.fixture
def with_nitrogen(trajectories: list[Trajectory]) -> list[Trajectory]:
    """The same motions, of N in place of O."""
    masses = np.array([1.008, 14.007, 1.008])
    return [replace(t, numbers=np.array([1, 7, 1]), masses=masses) for t in trajectories]


def fine_tuning(store: Path, folder: Path, **changes: Any) -> TrainingConfig:
    values: dict[str, Any] = {
        "data": {"files": [str(store)], "validation_fraction": 0.2},
        "model": {"name": "new", "t_max": 5.0},
        "optimizer": {"steps": 6, "warmup": 1, "batch": 8, "learning_rate": 0.01, "ema": 0.5},
        "validation": {"every": 3, "windows": 16, "rollouts": 4, "segments": 2},
        "initial": str(folder / "old.safetensors"),
        "output": str(folder / "new.safetensors"),
    }
    return TrainingConfig.parse({**values, **changes}, "test")


def test_new_elements_join_and_what_was_known_is_forecast_as_before(initial: Forecaster, with_nitrogen: list[Trajectory]) -> None:
    water = State.from_atoms([molecule("H2O")])
    water = water.with_(velocities=0.01 * torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    torch.manual_seed(2)
    source = WindowSource(with_nitrogen, 5.0)
    grown = with_species(initial, [1, 7], source)
    assert grown.card.species == [1, 7, 8]
    times = torch.tensor([2.0, 5.0], dtype=torch.float64)
    with torch.inference_mode():
        before, after = initial.forecast((water,), times), grown.forecast((water,), times)
    torch.testing.assert_close(after.positions, before.positions, rtol=0.0, atol=1e-12)
    position = source.draw(1024, 1 << 51).departures()[0][-1]
    nitrogen = source.draw(1024, 1 << 51).history[0].numbers == 7
    assert float(grown.scales[1, 0]) == pytest.approx(float(position[nitrogen].square().mean().sqrt()), rel=1e-5)
    assert with_species(grown, [1], source) is grown


def test_tables_of_one_element_grow_by_rows_or_by_pairs(trajectories: list[Trajectory]) -> None:
    card = Card(name="h", model="mdtrajnet", options=OPTIONS, species=[1], t_max=5.0, cutoff=4.0)
    alone = build_model(card)
    grown = with_species(alone, [8], WindowSource(trajectories, 5.0))
    assert grown.network.element.weight.shape[0] == 2
    assert torch.equal(grown.network.element.weight[0], alone.network.element.weight[0])
    assert torch.equal(grown.network.pair.weight[0], alone.network.pair.weight[0])


def test_an_architecture_that_keeps_elements_otherwise_says_so(trajectories: list[Trajectory]) -> None:
    options = {"preset": "paper", "channels": 4, "layers": 2}
    paper = build_model(Card(name="p", model="trajcast", options=options, species=[1, 8], t_max=5.0, cutoff=4.0))
    with pytest.raises(ForcefreeError, match="architecture 'trajcast' cannot learn new elements"):
        with_species(paper, [7], WindowSource(trajectories, 5.0))


def test_fine_tuning_moves_what_is_not_frozen_and_the_card_tells_of_both(
    initial: Forecaster, with_nitrogen: list[Trajectory], tmp_path: Path
) -> None:
    save_model(initial, tmp_path / "old.safetensors")
    write_store(tmp_path / "new.h5", with_nitrogen)
    config = fine_tuning(tmp_path / "new.h5", tmp_path, freeze=["network.messages"], rate_factors={"network.refinements": 1e-9})
    model = load(train(config, progress=False))
    old, new = dict(initial.named_parameters()), dict(model.named_parameters())
    for name, parameter in old.items():
        if name.startswith("network.messages"):
            assert torch.equal(new[name], parameter), name
        elif name.startswith("network.refinements"):
            torch.testing.assert_close(new[name], parameter, rtol=0.0, atol=1e-7)
    assert not torch.equal(new["network.readouts.0.weight"], old["network.readouts.0.weight"])
    assert (model.card.name, model.card.model, model.card.species) == ("new", "mdtrajnet", [1, 7, 8])
    assert model.card.training["initial"] == {"by": "hand"}
    assert model.card.guards["closest"]["8-8"] == 1.0
    assert model.card.guards["closest"]["1-7"] > 0.5
    assert model.card.guards["max_temperature"] != 900.0
    assert model.card.temperatures == [300.0]


def test_another_interval_and_factors_that_are_not_positive_are_refused(initial: Forecaster, store: Path, tmp_path: Path) -> None:
    save_model(initial, tmp_path / "old.safetensors")
    with pytest.raises(ForcefreeError, match=r"forecasts up to 5 fs, but model.t_max is 10 fs"):
        train(fine_tuning(store, tmp_path, model={"name": "new", "t_max": 10.0}), progress=False)
    with pytest.raises(ForcefreeError, match="rate_factors must be positive"):
        fine_tuning(store, tmp_path, rate_factors={"network": 0.0})


def test_a_trained_model_gets_an_energy_head_and_its_forecasts_stay(
    initial: Forecaster, trajectories: list[Trajectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = []

    def counted(*arguments: Any, **options: Any) -> Tensor:
        training.append(torch.is_grad_enabled())
        return unrolled_loss(*arguments, **options)

    monkeypatch.setattr("forcefree.training.module.unrolled_loss", counted)
    store = tmp_path / "energies.h5"
    write_store(store, [replace(t, energies=5.0 * np.linalg.norm(t.positions[:, 0] - t.positions[:, 1], axis=-1)) for t in trajectories])
    save_model(initial, tmp_path / "old.safetensors")
    config = fine_tuning(store, tmp_path, potential_weight=1.0, freeze=["network", "log_gain"])
    tuned = load(train(config, progress=False))
    assert tuned.knows_energy
    assert training  # validation forecasts
    assert not any(training)
    before, after = initial.state_dict(), tuned.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    water = State.from_atoms([molecule("H2O")])
    found = float(tuned.potential_energy(water).detach())
    assert found == pytest.approx(5.0 * 0.96, abs=1.0)
    again = fine_tuning(store, tmp_path, initial=str(tmp_path / "new.safetensors"), output=str(tmp_path / "again.safetensors"))
    kept = load(train(again, progress=False)).state_dict()
    assert any(training)
    assert all(torch.equal(kept[name], tensor) for name, tensor in after.items() if name.startswith("energy."))
    assert not torch.equal(kept["network.element.weight"], after["network.element.weight"])


@pytest.mark.parametrize(
    ("old", "new", "both"),
    [([9.0, 10.0], [8.0, 9.5], [8.0, 10.0]), ([9.0, 10.0], None, None), (None, [8.0, 9.5], None), (None, None, None)],
)
def test_cells_of_old_and_new_data_are_remembered_where_both_are_periodic(
    old: list[float] | None, new: list[float] | None, both: list[float] | None
) -> None:
    limits = [{"closest": {"1-1": 1.0}} | ({} if volume is None else {"volume": volume}) for volume in (old, new)]
    assert _merged(*limits).get("volume") == both


def test_a_model_of_two_frames_is_trained_and_trained_further_on_new_elements(
    store: Path, with_nitrogen: list[Trajectory], tmp_path: Path
) -> None:
    options = {**OPTIONS, "past": "1 fs"}
    first = fine_tuning(
        store, tmp_path, initial=None, model={"name": "two", "architecture": "mdtrajnet", "t_max": 5.0, "cutoff": 4.0, "options": options},
        output=str(tmp_path / "two.safetensors"),
    )  # fmt: skip
    two = load(train(first, progress=False))
    assert (two.card.history_length, two.card.history_spacing) == (2, 1.0)
    write_store(tmp_path / "new.h5", with_nitrogen)
    again = fine_tuning(tmp_path / "new.h5", tmp_path, initial=str(tmp_path / "two.safetensors"))
    more = load(train(again, progress=False))
    assert (more.card.history_length, more.card.species) == (2, [1, 7, 8])
    path = simulate(more, tmp_path / "new.h5", ensemble="nve", duration=10.0, interval=5.0, guards=False)
    assert bool(path.state.positions.isfinite().all())
    retraced = {"initial": str(tmp_path / "two.safetensors"), "output": str(tmp_path / "other.safetensors"), "reversal_weight": 1.0}
    with pytest.raises(ForcefreeError, match="reversal_weight is for models of one frame"):
        train(fine_tuning(tmp_path / "new.h5", tmp_path, **retraced), progress=False)
