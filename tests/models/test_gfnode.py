"""GF-NODE: eigenspaces instead of eigenvectors, times that do not know of each other, and velocities that are derivatives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ase import Atoms
from ase.build import molecule
from torch import Tensor

from forcefree.models.card import Card
from forcefree.models.gfnode import GfNode
from forcefree.nn.spectrum import Spectrum
from forcefree.state import State

ODES = ["oscillator", "learned", "none"]


def build(*, closed: bool = True, t_max: float = 100.0, **options: Any) -> GfNode:
    card = Card(
        name="t",
        model="gfnode",
        options={"channels": 8, "layers": 2, "filter_width": 8, "steps": 6, **options},
        species=[1, 6, 8],
        t_max=t_max,
        cutoff=6.0,
        closed=closed,
    )
    torch.manual_seed(3)
    model = GfNode(card).double().eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def moving(*molecules: Atoms, seed: int = 1) -> State:
    state = State.from_atoms(molecules)
    generator = torch.Generator().manual_seed(seed)
    return state.with_(velocities=0.02 * torch.randn(state.n_atoms, 3, generator=generator, dtype=torch.float64))


def ring() -> State:
    """The carbon atoms of benzene: eigenvalues 0, 1, 1, 3, 3, 4."""
    benzene = molecule("C6H6")
    return moving(benzene[[atom.index for atom in benzene if atom.symbol == "C"]])


def forecast(model: GfNode, state: State, *times: float) -> Tensor:
    with torch.inference_mode():
        return model.forecast((state,), torch.tensor(times, dtype=torch.float64)).positions


@pytest.mark.parametrize("options", [{"ode": "oscillator"}, {"ode": "learned"}, {"ode": "learned", "modes": 2}, {"modes": 4}])
def test_signs_and_choices_inside_an_eigenspace_do_not_matter(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, state = build(**options), ring()
    spectrum = model.spectrum(state)
    expected = torch.tensor([0.0, 1.0, 1.0, 3.0, 3.0, 4.0], dtype=torch.float64)
    torch.testing.assert_close(spectrum.values[0], expected, rtol=0.0, atol=1e-12)
    before = forecast(model, state, 30.0, 80.0)

    angle = torch.tensor(0.7, dtype=torch.float64)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    choice = torch.block_diag(torch.tensor([[-1.0]], dtype=torch.float64), turn, turn.T, torch.tensor([[-1.0]], dtype=torch.float64))
    diagonalise = torch.linalg.eigh

    def another_choice(matrix: Tensor) -> tuple[Tensor, Tensor]:
        values, vectors = diagonalise(matrix)
        return values, vectors @ choice

    monkeypatch.setattr(torch.linalg, "eigh", another_choice)
    changed = model.spectrum(state)
    assert (changed.vectors - spectrum.vectors).abs().max() > 0.1
    torch.testing.assert_close(forecast(model, state, 30.0, 80.0), before, rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("ode", ODES)
def test_relabelled_atoms_of_a_degenerate_ring(ode: str) -> None:
    model, state = build(ode=ode, modes=2), ring()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    names = ("positions", "velocities", "numbers", "masses")
    relabelled = state.with_(**{name: getattr(state, name)[order] for name in names})
    torch.testing.assert_close(forecast(model, relabelled, 50.0), forecast(model, state, 50.0)[:, order], rtol=0.0, atol=1e-10)


def test_a_number_of_modes_is_rounded_up_to_whole_eigenspaces() -> None:
    state = ring()
    counts = [int(build(modes=modes).spectrum(state).moving.sum()) for modes in (1, 2, 3, 4, 6)]
    assert counts == [1, 3, 3, 5, 6]


@pytest.mark.parametrize("ode", ODES)
def test_an_answer_does_not_depend_on_what_else_is_asked(ode: str) -> None:
    model, state = build(ode=ode), moving(molecule("CH3CH2OH"))
    many = forecast(model, state, 3.0, 41.7, 42.0, 99.0, 0.5)
    for index, time in enumerate((3.0, 41.7, 42.0, 99.0, 0.5)):
        torch.testing.assert_close(forecast(model, state, time)[0], many[index], rtol=0.0, atol=1e-13)


def test_systems_keep_times_of_their_own() -> None:
    model = build(ode="learned")
    pair = moving(molecule("CH3OH"), molecule("C6H6"))
    own = torch.tensor([[5.0, 70.0], [60.0, 20.0]], dtype=torch.float64)
    with torch.inference_mode():
        both = model.forecast((pair,), own).positions
        for system in range(2):
            chosen = pair.select(torch.arange(2) == system)
            alone = model.forecast((chosen,), own[:, system]).positions
            torch.testing.assert_close(both[:, pair.system == system], alone, rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("ode", ODES)
def test_velocities_are_derivatives_of_positions(ode: str, closed: bool) -> None:
    model, state = build(ode=ode, closed=closed), moving(molecule("CH3CH2OH"))
    times = torch.tensor([[11.0], [63.0]], dtype=torch.float64)
    with torch.inference_mode():
        here = model.conserving_departures((state,), times)
        ahead, behind = (model.conserving_departures((state,), times + step).positions for step in (1e-4, -1e-4))
    torch.testing.assert_close(here.velocities, (ahead - behind) / 2e-4, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("ode", ODES)
def test_a_departure_begins_with_its_second_derivative(ode: str) -> None:
    model, state = build(ode=ode), moving(molecule("CH3CH2OH"))
    with torch.inference_mode():
        short, shorter = model.conserving_departures((state,), torch.tensor([[0.001], [0.0005]], dtype=torch.float64)).positions
    torch.testing.assert_close(short, 4.0 * shorter, rtol=2e-2, atol=1e-2 * float(short.abs().max()))


def test_atoms_left_out_leave_momentum_free_and_the_start_exact() -> None:
    model, state = build(closed=False), ring()
    with torch.inference_mode():
        frames = model.forecast((state,), torch.tensor([0.0, 50.0], dtype=torch.float64))
    torch.testing.assert_close(frames.positions[0], state.positions, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(frames.velocities[0], state.velocities, rtol=0.0, atol=1e-12)
    momentum = (state.masses[:, None] * frames.velocities[1]).sum(dim=0)
    assert (momentum - (state.masses[:, None] * state.velocities).sum(dim=0)).abs().max() > 1e-3


def test_atoms_left_out_leave_space_without_directions() -> None:
    model, state = build(closed=False), ring()
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))
    turned = state.with_(positions=state.positions @ rotation + 50.0, velocities=state.velocities @ rotation)
    torch.testing.assert_close(forecast(model, turned, 70.0), forecast(model, state, 70.0) @ rotation + 50.0, rtol=0.0, atol=1e-10)


def test_without_fourier_the_oscillators_share_a_clock() -> None:
    """With one clock for all modes the transform cancels, so both ablations are one model."""
    state = moving(molecule("CH3CH2OH"))
    torch.testing.assert_close(
        forecast(build(fourier=False), state, 40.0), forecast(build(shared_clock=True), state, 40.0), rtol=0.0, atol=1e-10
    )
    assert (forecast(build(), state, 40.0) - forecast(build(fourier=False), state, 40.0)).abs().max() > 1e-4


def test_gradients_reach_every_parameter() -> None:
    for ode in ("oscillator", "learned"):
        model, state = build(ode=ode), moving(molecule("CH3CH2OH"))
        departures = model.conserving_departures((state,), torch.tensor([[20.0], [90.0]], dtype=torch.float64))
        (departures.positions.square().mean() + departures.velocities.square().mean()).backward()
        silent = [
            name for name, parameter in model.named_parameters() if parameter.grad is None or not bool(parameter.grad.abs().sum() > 0)
        ]
        assert not silent


def test_the_trivial_spectrum_leaves_atoms_alone() -> None:
    state = moving(molecule("CH4"), molecule("H2O"))
    features = torch.randn(state.n_atoms, 4, 2, dtype=torch.float64)
    spectrum = Spectrum.trivial(state, features)
    torch.testing.assert_close(spectrum.to_atoms(spectrum.to_modes(features)[None])[0], features, rtol=0.0, atol=0.0)
