"""The energy head learns: references by least squares, levels and changes and forces in units of what there is to learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from forcefree.data.trajectory import Trajectory
from forcefree.models.card import Card
from forcefree.models.energy_config import EnergyConfig
from forcefree.models.energy_head import EnergyHead
from forcefree.models.forecaster import Departures, Forecaster
from forcefree.state import State
from forcefree.training.potential import PotentialScales, potential_errors, potential_loss
from forcefree.training.windows import Windows, WindowSource
from networks import STIFFNESS, energies_and_forces, molecular_dynamics

SOFT = 0.1 * STIFFNESS


class Known(Forecaster):
    """Tells energies by a rule, and forecasts nothing."""

    knows_energy = True

    def __init__(self, rule: Callable[[State], Tensor]) -> None:
        super().__init__(Card(name="known", model="known", species=[1, 8], t_max=10.0, cutoff=4.0))
        self.rule = rule

    def departures(self, history: tuple[State, ...], times: Tensor) -> Departures:
        raise NotImplementedError

    def potential_energy(self, state: State) -> Tensor:
        return self.rule(state)


class Springs(torch.autograd.Function):
    """The potential of :mod:`networks` with its own forces as gradient."""

    @staticmethod
    def forward(context, positions: Tensor) -> Tensor:
        energies, forces = energies_and_forces(positions.detach().numpy().reshape(-1, 4, 3), SOFT)
        context.save_for_backward(torch.from_numpy(forces).reshape(-1, 3))
        return torch.from_numpy(energies)

    @staticmethod
    def backward(context, outer: Tensor) -> Tensor:
        return -context.saved_tensors[0] * outer.repeat_interleave(4)[:, None]


@pytest.fixture(scope="module")
def runs() -> list[Trajectory]:
    made = molecular_dynamics(12, 200, every=2, ensemble="nve", temperature=400.0, stiffness=SOFT)
    return [replace(run, forces=energies_and_forces(run.positions, SOFT)[1]) for run in made]


@pytest.fixture(scope="module")
def source(runs: list[Trajectory]) -> WindowSource:
    return WindowSource(runs, 10.0, seed=1)


@pytest.fixture(scope="module")
def windows(source: WindowSource) -> Windows:
    return source.draw(64, 5)


def head(*, species: tuple[int, ...] = (1, 8)) -> EnergyHead:
    torch.manual_seed(0)
    return EnergyHead(EnergyConfig(channels=12, matrix_channels=4, filter_width=16), species, 4.0)


def test_windows_hand_the_recorded_energies_on(runs: list[Trajectory], windows: Windows) -> None:
    assert windows.energies is not None
    assert windows.energies.shape == (11, 64)
    frames = [windows.history[-1].positions, *windows.positions]
    for positions, energies in zip(frames, windows.energies, strict=True):
        np.testing.assert_allclose(
            energies.numpy(), energies_and_forces(positions.numpy().reshape(-1, 4, 3), SOFT)[0], rtol=0.0, atol=1e-12
        )
    part = [runs[0], replace(runs[1], energies=None)]
    assert WindowSource(part, 10.0).draw(4, 0).energies is None, "energies of some runs alone are of no use"


def test_references_are_found_by_least_squares(runs: list[Trajectory]) -> None:
    """HOOH, HOH and OO at energies that are sums over atoms exactly."""
    made = []
    for atoms in ([0, 1, 2, 3], [0, 2, 3], [0, 1]):
        run = runs[0]
        numbers = run.numbers[atoms]
        energies = np.full(len(run), float(np.where(numbers == 1, -13.5, -2041.0).sum()))
        made.append(
            replace(
                run, numbers=numbers, masses=run.masses[atoms], positions=run.positions[:, atoms], forces=None, energies=energies,
                velocities=run.velocities[:, atoms],
            )
        )  # fmt: skip
    found = head()
    scales = PotentialScales.fit(found, WindowSource(made, 10.0))
    torch.testing.assert_close(found.references, torch.tensor([-13.5, -2041.0], dtype=torch.float64), rtol=0.0, atol=1e-6)
    assert scales.level == 1e-6
    shifted = [replace(run, energies=run.energies + 2.0 * (run.numbers == 1).sum()) for run in made]
    PotentialScales.fit(found, WindowSource(shifted, 10.0))
    torch.testing.assert_close(found.references, torch.tensor([-11.5, -2041.0], dtype=torch.float64), rtol=0.0, atol=1e-4)


def test_the_truth_costs_nothing_and_a_constant_about_one_for_each_term(source: WindowSource, windows: Windows) -> None:
    scales = PotentialScales.fit(head(), source)
    exact = Known(lambda state: Springs.apply(state.positions))
    assert float(potential_loss(exact, windows, scales).detach()) < 1e-20
    assert all(float(error) < 1e-12 for error in potential_errors(exact, windows).values())
    mean = float(windows.energies.mean())
    blind = Known(lambda state: mean + 0.0 * state.sum(state.positions[:, 0]))
    assert float(potential_loss(blind, windows, scales).detach()) == pytest.approx(3.0, rel=0.3)
    with torch.no_grad():
        assert float(potential_loss(blind, windows, scales)) == pytest.approx(2.0, rel=0.3), "no forces without gradients"
    change = (windows.energies[-1] - windows.energies[0]).abs().mean() / 4
    assert float(potential_errors(blind, windows)["val_change_mae"]) == pytest.approx(float(change))


def test_an_offset_costs_a_level_but_no_change(source: WindowSource, windows: Windows) -> None:
    scales = PotentialScales.fit(head(), source)
    shifted = Known(lambda state: Springs.apply(state.positions) + 4.0 * scales.level)
    assert float(potential_loss(shifted, windows, scales).detach()) == pytest.approx(4.0, rel=1e-6)
    assert float(potential_errors(shifted, windows)["val_change_mae"]) < 1e-12


def test_it_learns_to_tell_changes_of_energy(source: WindowSource) -> None:
    network = head()
    scales = PotentialScales.fit(network, source)
    model = Known(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    held_out = source.draw(128, 1 << 40)
    before = potential_errors(model, held_out)["val_change_mae"]
    for step in range(120):
        optimizer.zero_grad()
        potential_loss(model, source.draw(16, step), scales).backward()
        optimizer.step()
    assert not [name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert potential_errors(model, held_out)["val_change_mae"] < 0.4 * before
