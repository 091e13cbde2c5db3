"""What every registered forecaster must keep exactly, in float64."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch import Tensor

from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model, find_architecture
from forcefree.nn.conservation import angular_momentum
from forcefree.state import State

TIMES = torch.tensor([0.0, 4.0, 10.0], dtype=torch.float64)
ETHANOL = molecule("CH3CH2OH")
GAUCHE = molecule("CH3CH2OH")
GAUCHE.rotate_dihedral(0, 1, 2, 3, 120.0, indices=[3])
VARIANTS = {
    "trajcast-fast": ("trajcast", {"channels": 12, "layers": 1, "refinements": 2, "nodes": 3, "refinement_width": 8, "filter_width": 8}),
    "trajcast-past": ("trajcast", {"channels": 8, "layers": 2, "refinements": 1, "nodes": 3, "filter_width": 8, "past": 2.0}),
    "mdtrajnet-past": (
        "mdtrajnet",
        {"channels": 8, "matrix_channels": 4, "heads": 2, "layers": 1, "refinements": 1, "nodes": 3, "filter_width": 8, "past": 4.0},
    ),
    "trajcast-fast-fixed": ("trajcast", {"channels": 12, "layers": 2, "refinements": 0, "head": "fixed", "filter_width": 8}),
    "trajcast-paper": ("trajcast", {"preset": "paper", "channels": 6, "layers": 2}),
    "gfnode": ("gfnode", {"channels": 8, "layers": 2, "filter_width": 8}),
    "gfnode-learned": ("gfnode", {"channels": 6, "layers": 1, "filter_width": 8, "ode": "learned", "steps": 4}),
    "gfnode-no-fourier": ("gfnode", {"channels": 6, "layers": 1, "filter_width": 8, "fourier": False, "ode": "learned", "steps": 3}),
    "gfnode-two-modes": ("gfnode", {"channels": 6, "layers": 1, "filter_width": 8, "modes": 2, "shared_clock": True}),
    "gfnode-reference": (
        "gfnode",
        {
            "channels": 6,
            "layers": 1,
            "filter_width": 8,
            "reference": {"numbers": ETHANOL.numbers.tolist(), "positions": ETHANOL.positions.tolist()},
        },
    ),
    "gfnode-conformers": (
        "gfnode",
        {
            "network": False,
            "reference": {"numbers": ETHANOL.numbers.tolist(), "positions": ETHANOL.positions.tolist()},
            "conformers": [{"numbers": GAUCHE.numbers.tolist(), "positions": GAUCHE.positions.tolist()}],
        },
    ),
    "egnn": ("egnn", {"channels": 8, "layers": 2}),
    "egno": ("egnn", {"channels": 8, "layers": 2, "temporal_modes": 2}),
    "trajcast-paper-fixed": ("trajcast", {"preset": "paper", "channels": 6, "layers": 2, "head": "fixed"}),
    "asteroid": ("asteroid", {"spacing": 2.0, "window": 5, "lags": 2, "channels": 8, "heads": 2, "filter_width": 8}),
    "asteroid-one-shot": ("asteroid", {"spacing": 2.0, "window": 4, "channels": 8, "heads": 2, "layers": 2, "autoregressive": False}),
    "mdtrajnet": (
        "mdtrajnet",
        {
            "channels": 8,
            "matrix_channels": 4,
            "heads": 2,
            "layers": 2,
            "refinements": 2,
            "nodes": 3,
            "refinement_width": 8,
            "filter_width": 8,
        },
    ),
    "mdtrajnet-one-pass": (
        "mdtrajnet",
        {"channels": 8, "matrix_channels": 4, "heads": 2, "layers": 2, "refinements": 0, "normalised": False, "filter_width": 8},
    ),
}


@pytest.fixture(params=list(VARIANTS))
def model(request: pytest.FixtureRequest) -> Forecaster:
    architecture, options = VARIANTS[request.param]
    timing = find_architecture(architecture).timing(options, 10.0)
    if options.get("head") == "fixed":
        timing["fixed_times"] = [4.0, 10.0]
    card = Card(name=request.param, model=architecture, options=options, species=[1, 6, 8, 29], t_max=10.0, cutoff=5.0, **timing)
    generator = torch.Generator().manual_seed(5)
    built = build_model(card).double()
    for parameter in built.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return built.eval()


def moving(molecules: list[Atoms], seed: int = 1) -> State:
    state = State.from_atoms(molecules)
    generator = torch.Generator().manual_seed(seed)
    velocities = 0.02 * torch.randn(state.n_atoms, 3, generator=generator, dtype=torch.float64)
    return state.with_(velocities=velocities)


def wobble(state: State, age: float) -> tuple[Tensor, Tensor]:
    """Displacements and velocities, ``age`` fs before the last frame, of atoms that slowed down until then.

    Along velocities relative to the centre of mass, so that the past turns, moves and permutes with the molecule.
    """
    relative = state.velocities - state.mean_by_mass(state.velocities)[state.system]
    change = 0.01 * relative * (1.0 + 20.0 * relative.norm(dim=-1, keepdim=True))
    return -0.5 * change * age**2, change * age


def window(model: Forecaster, state: State) -> tuple[State, ...]:
    """A moving past of as many frames as the model needs, which ends in ``state``."""
    frames = []
    for back in reversed(range(1, model.card.history_length)):
        age = back * float(model.card.history_spacing or 0.0)
        displacement, velocity = wobble(state, age)
        frames.append(
            state.with_(
                positions=state.positions - age * state.velocities + displacement,
                velocities=state.velocities + velocity,
                time=state.time - age,
            )
        )
    return (*frames, state)


def forecast(model: Forecaster, state: State) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        frames = model.forecast(window(model, state), TIMES)
    return frames.positions, frames.velocities


@pytest.fixture
def ethanol() -> State:
    return moving([molecule("CH3CH2OH")])


@pytest.mark.parametrize("reflect", [False, True])
def test_rotation_reflection_and_translation(model: Forecaster, ethanol: State, reflect: bool) -> None:
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    rotation = rotation * torch.linalg.det(rotation) * (-1.0 if reflect else 1.0)
    shift = torch.tensor([100.0, -30.0, 7.0], dtype=torch.float64)
    positions, velocities = forecast(model, ethanol)

    turned = forecast(model, ethanol.with_(positions=ethanol.positions @ rotation + shift, velocities=ethanol.velocities @ rotation))

    assert (positions[1] - ethanol.positions - 4.0 * ethanol.velocities).abs().max() > 1e-3, "the model must do something"
    torch.testing.assert_close(turned[0], positions @ rotation + shift, rtol=0.0, atol=1e-10 * float(positions.abs().max() + 100.0))
    torch.testing.assert_close(turned[1], velocities @ rotation, rtol=0.0, atol=1e-10 * float(velocities.abs().max() + 1.0))


def test_the_forecast_at_time_zero_is_the_initial_state(model: Forecaster, ethanol: State) -> None:
    positions, velocities = forecast(model, ethanol)
    torch.testing.assert_close(positions[0], ethanol.positions, rtol=0.0, atol=1e-10)
    torch.testing.assert_close(velocities[0], ethanol.velocities, rtol=0.0, atol=1e-10)


def test_permutation_of_atoms(model: Forecaster, ethanol: State) -> None:
    order = torch.randperm(ethanol.n_atoms, generator=torch.Generator().manual_seed(3))
    names = ("positions", "velocities", "numbers", "masses")
    positions, _ = forecast(model, ethanol)
    permuted, _ = forecast(model, ethanol.with_(**{name: getattr(ethanol, name)[order] for name in names}))
    torch.testing.assert_close(permuted, positions[:, order], rtol=1e-10, atol=1e-10)


def test_galilean_boost(model: Forecaster, ethanol: State) -> None:
    boost = torch.tensor([0.3, -0.1, 0.02], dtype=torch.float64)
    positions, velocities = forecast(model, ethanol)
    boosted = forecast(model, ethanol.with_(velocities=ethanol.velocities + boost))
    torch.testing.assert_close(boosted[0], positions + TIMES[:, None, None] * boost, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(boosted[1], velocities + boost, rtol=1e-10, atol=1e-10)


def test_momentum_centre_of_mass_and_angular_momentum(model: Forecaster, ethanol: State) -> None:
    positions, velocities = forecast(model, ethanol)
    momentum = (ethanol.masses[:, None] * ethanol.velocities).sum(dim=0)
    for time, x, v in zip(TIMES.tolist(), positions, velocities, strict=True):
        torch.testing.assert_close((ethanol.masses[:, None] * v).sum(dim=0), momentum, rtol=0.0, atol=1e-10 * float(v.abs().max() * 50 + 1))
        flown = ethanol.mean_by_mass(ethanol.positions) + time * ethanol.mean_by_mass(ethanol.velocities)
        torch.testing.assert_close(ethanol.mean_by_mass(x), flown, rtol=0.0, atol=1e-10 * float(x.abs().max() + 1))
    before = angular_momentum(ethanol, ethanol.positions[None], ethanol.velocities[None])
    after = angular_momentum(ethanol, positions, velocities)
    torch.testing.assert_close(after, before.expand_as(after), rtol=0.0, atol=1e-9 * float(positions.abs().max()) ** 2)


def test_nothing_depends_on_batch_mates(model: Forecaster, ethanol: State) -> None:
    alone = forecast(model, ethanol)
    for mates in ([molecule("CH3CH2OH")], [molecule("CH4"), molecule("CH3OH")], [bulk("Cu", cubic=True)]):
        together = moving([*mates, molecule("CH3CH2OH")], seed=4)
        own = together.system == len(mates)
        velocities = together.velocities.clone()
        velocities[own] = ethanol.velocities
        batch = forecast(model, together.with_(velocities=velocities))
        for single, among in zip(alone, batch, strict=True):
            torch.testing.assert_close(among[:, own], single, rtol=1e-10, atol=1e-10)


def test_an_isolated_atom_flies_straight(model: Forecaster) -> None:
    atoms = molecule("CH3CH2OH") + Atoms("H", positions=[[40.0, 0.0, 0.0]])
    state = moving([atoms])
    positions, velocities = forecast(model, state)
    torch.testing.assert_close(velocities[:, -1], state.velocities[-1].expand(3, 3), rtol=0.0, atol=1e-10)
    straight = state.positions[-1] + TIMES[:, None] * state.velocities[-1]
    torch.testing.assert_close(positions[:, -1], straight, rtol=0.0, atol=1e-10)


def test_messages_fade_smoothly_at_the_cutoff(model: Forecaster) -> None:
    def first_atom(distance: float) -> Tensor:
        state = moving([Atoms("OHH", positions=[[0, 0, 0], [0.96, 0, 0], [0, 0, distance]])])
        return forecast(model, state)[1][1, 0]

    inside, at, outside = first_atom(4.999), first_atom(5.0), first_atom(5.001)
    assert (inside - at).abs().max() < 1e-5
    assert (outside - at).abs().max() < 1e-5


def test_periodic_images_are_felt_and_the_origin_is_not(model: Forecaster) -> None:
    crystal = moving([bulk("Cu", cubic=True) * (2, 2, 2)])
    alone = crystal.with_(cell=torch.zeros_like(crystal.cell), pbc=torch.zeros_like(crystal.pbc))
    positions, velocities = forecast(model, crystal)
    assert (velocities - forecast(model, alone)[1]).abs().max() > 1e-6
    wrapped = crystal.positions.clone()
    wrapped[3] += crystal.cell[0, 0] - 2 * crystal.cell[0, 1]
    moved = forecast(model, crystal.with_(positions=wrapped))
    torch.testing.assert_close(moved[1], velocities, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(moved[0][:, 4:], positions[:, 4:], rtol=1e-9, atol=1e-9)


def test_float32_agrees_with_float64(ethanol: State) -> None:
    architecture, options = VARIANTS["trajcast-fast"]
    card = Card(name="t", model=architecture, options=options, species=[1, 6, 8], t_max=10.0, cutoff=5.0)
    torch.manual_seed(0)
    single = build_model(card)
    double = build_model(card).double()
    double.load_state_dict(single.state_dict())
    torch.testing.assert_close(forecast(single, ethanol)[0], forecast(double, ethanol)[0], rtol=0.0, atol=1e-5)
