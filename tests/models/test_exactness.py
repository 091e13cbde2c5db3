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


def test_an_atom_that_is_its_whole_system_flies_straight(model: Forecaster) -> None:
    for mates in ([], [molecule("CH4")]):
        state = moving([Atoms("O", positions=[[1.0, 2.0, 3.0]]), *mates])
        positions, velocities = forecast(model, state)
        straight = state.positions[0] + TIMES[:, None] * state.velocities[0]
        torch.testing.assert_close(positions[:, 0], straight, rtol=0.0, atol=1e-12)
        torch.testing.assert_close(velocities[:, 0], state.velocities[0].expand(3, 3), rtol=0.0, atol=1e-12)


def test_a_molecule_on_a_line_keeps_its_angular_momentum(model: Forecaster) -> None:
    state = moving([molecule("CO"), molecule("CO2")])
    positions, velocities = forecast(model, state)
    before = angular_momentum(state, state.positions[None], state.velocities[None])
    after = angular_momentum(state, positions, velocities)
    torch.testing.assert_close(after, before.expand_as(after), rtol=0.0, atol=1e-9 * float(positions.abs().max() + 1.0) ** 2)


def oblique() -> State:
    """Copper oxide in a skewed cell whose every height is less than the cutoff, let alone twice as much."""
    cell = [[3.2, 0.0, 0.0], [1.1, 3.0, 0.0], [-0.8, 0.9, 3.4]]
    return moving([Atoms("CuO2", scaled_positions=[[0.0, 0.0, 0.0], [0.45, 0.4, 0.35], [0.7, 0.9, 0.6]], cell=cell, pbc=True)])


def test_a_skewed_cell_smaller_than_the_cutoff_is_turned_and_mirrored_with_its_forecast(model: Forecaster) -> None:
    crystal = oblique()
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64))
    rotation = -rotation * torch.linalg.det(rotation)
    positions, velocities = forecast(model, crystal)
    assert (velocities[1] - crystal.velocities).abs().max() > 1e-6, "the model must do something"
    turned = crystal.with_(positions=crystal.positions @ rotation, velocities=crystal.velocities @ rotation, cell=crystal.cell @ rotation)
    found = forecast(model, turned)
    torch.testing.assert_close(found[0], positions @ rotation, rtol=0.0, atol=1e-9 * float(positions.abs().max() + 1.0))
    torch.testing.assert_close(found[1], velocities @ rotation, rtol=0.0, atol=1e-9 * float(velocities.abs().max() + 1.0))


def test_other_vectors_of_the_same_lattice_are_the_same_crystal(model: Forecaster) -> None:
    if model.card.model == "asteroid":
        pytest.skip("closeness of its global attention depends on the choice of the cell vectors")
    crystal = oblique()
    other = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, -1.0, 1.0]], dtype=torch.float64)
    for here, there in zip(forecast(model, crystal), forecast(model, crystal.with_(cell=other @ crystal.cell)), strict=True):
        torch.testing.assert_close(there, here, rtol=1e-9, atol=1e-9)


def test_a_supercell_is_forecast_as_its_cells_are(model: Forecaster) -> None:
    if model.card.model == "asteroid" or model.card.options.get("modes") or model.card.name == "gfnode-learned":
        pytest.skip("attention to a whole system, some of its modes, or a nonlinear equation of its modes: a larger system is another one")
    (cell,) = oblique().to_atoms()
    single, double = (State.from_atoms([atoms]) for atoms in (cell, cell * (2, 1, 1)))
    for here, there in zip(forecast(model, single), forecast(model, double), strict=True):
        moved = [part - part[:1] for part in (here, there)]
        torch.testing.assert_close(moved[1], moved[0].repeat(1, 2, 1), rtol=1e-9, atol=1e-9)


def test_velocities_are_the_derivative_of_positions(model: Forecaster) -> None:
    if model.card.fixed_times is not None:
        pytest.skip("forecasts at fixed times are not continuous")
    state, step = moving([molecule("CH3CH2OH"), molecule("H2O")]), 1e-4
    times = torch.tensor([[3.0, 7.0], [3.0 - step, 7.0 - step], [3.0 + step, 7.0 + step]], dtype=torch.float64)
    with torch.inference_mode():  # each for itself: EGNO's answer depends on what else is asked
        here, behind, ahead = (model.conserving_departures(window(model, state), one[None]) for one in times)
    slope = (ahead.positions - behind.positions) / (2.0 * step)
    torch.testing.assert_close(here.velocities, slope, rtol=1e-6, atol=1e-8 * float(here.positions.abs().max() + 1.0))


def test_systems_of_a_batch_have_times_of_their_own(model: Forecaster) -> None:
    state = moving([molecule("CH3CH2OH"), molecule("H2O")])
    own = torch.tensor([[4.0, 10.0]], dtype=torch.float64)
    with torch.inference_mode():
        both = model.forecast(window(model, state), own)
        for system in range(2):
            alone = model.forecast(window(model, state.select(torch.arange(2) == system)), own[0, system : system + 1])
            torch.testing.assert_close(both.positions[:, state.system == system], alone.positions, rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(both.velocities[:, state.system == system], alone.velocities, rtol=1e-10, atol=1e-10)


def test_float32_agrees_with_float64(ethanol: State) -> None:
    architecture, options = VARIANTS["trajcast-fast"]
    card = Card(name="t", model=architecture, options=options, species=[1, 6, 8], t_max=10.0, cutoff=5.0)
    torch.manual_seed(0)
    single = build_model(card)
    double = build_model(card).double()
    double.load_state_dict(single.state_dict())
    torch.testing.assert_close(forecast(single, ethanol)[0], forecast(double, ethanol)[0], rtol=0.0, atol=1e-5)
