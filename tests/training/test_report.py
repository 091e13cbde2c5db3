"""What a training report tells of several attempts, and of a model and data with and without energies."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from forcefree.data.trajectory import Trajectory
from forcefree.models.card import Card
from forcefree.models.forecaster import Departures, Forecaster
from forcefree.state import State
from forcefree.training.config import TrainingConfig
from forcefree.training.report import energy_errors, error_table, write_training_report
from forcefree.training.windows import WindowSource


class Frozen(Forecaster):
    """Free flight, and a potential energy of zero where it is asked for one."""

    def __init__(self, *, knows: bool = False) -> None:
        super().__init__(Card(name="<frozen>", model="none", species=[1, 8], t_max=5.0, cutoff=4.0))
        self.knows = knows

    @property
    def knows_energy(self) -> bool:
        return self.knows

    def potential_energy(self, state: State) -> Tensor:
        return torch.zeros(state.n_systems, dtype=torch.float64)

    def departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        nothing = torch.zeros(len(times), history[-1].n_atoms, 3, dtype=torch.float64)
        return Departures(nothing, nothing)


def attempt(folder: Path, number: int, rows: list[tuple[int, str, str]]) -> None:
    """A log of validations, with a row of training between any two."""
    path = folder / f"csv-{number}" / "metrics.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "error", "val_one_step", "val_rollout"])
        for step, one_step, rollout in rows:
            writer.writerows([[step - 1, 0.5, "", ""], [step, "", one_step, rollout]])


def test_the_last_attempt_has_the_last_word_on_a_step(trajectories: list[Trajectory], tmp_path: Path) -> None:
    values = {"data": {"files": ["x.h5"]}, "model": {"name": "m"}, "output": str(tmp_path / "m.safetensors")}
    config = TrainingConfig.parse(values, "test")
    attempt(config.folder, 9, [(10, "0.9", "1.9"), (20, "0.8", "1.8")])
    attempt(config.folder, 10, [(20, "0.5", "1.5"), (30, "0.4", "1.4")])
    windows = WindowSource(trajectories, 5.0).draw(8, 0)

    write_training_report(config, Frozen(), windows, seconds=61.26)

    report = json.loads((config.folder / "training-report.json").read_text())
    assert [tuple(row.values()) for row in report["history"]] == [(10.0, 0.9, 1.9), (20.0, 0.5, 1.5), (30.0, 0.4, 1.4)]
    assert report["seconds"] == 61.3
    assert report["energy"] == {}
    page = (config.folder / "training-report.html").read_text()
    assert "&lt;frozen&gt;" in page
    assert "<frozen>" not in page


def test_free_flight_has_the_errors_of_the_row_without_skill(trajectories: list[Trajectory]) -> None:
    windows = WindowSource(trajectories, 5.0).draw(16, 0)
    for row, time in zip(error_table(Frozen(), windows), (1.0, 2.0, 3.0, 4.0, 5.0), strict=True):
        assert row["time"] == time
        assert row["position_pm"] == pytest.approx(row["free_flight_pm"])
        moved = (windows.positions[int(time) - 1] - windows.history[-1].positions).abs().mean()
        assert row["frozen_pm"] == pytest.approx(100.0 * float(moved))


def test_a_constant_energy_has_no_skill_and_without_energies_nothing_is_said(trajectories: list[Trajectory]) -> None:
    windows = WindowSource([replace(t, energies=3.0 + t.positions[:, 0, 0]) for t in trajectories], 5.0).draw(16, 0)
    found = energy_errors(Frozen(knows=True), windows)
    assert found["change"] == pytest.approx(found["no_skill_change"]) != 0.0
    assert found["potential"] == pytest.approx(1000.0 * float(windows.energies[[0, -1]].abs().mean()) / 3.0)
    assert energy_errors(Frozen(), windows) == {}
    assert energy_errors(Frozen(knows=True), WindowSource(trajectories, 5.0).draw(2, 0)) == {}
