"""The ``paper`` network: exact symmetries in double precision, smoothness, and its fast path against the plain one."""

from __future__ import annotations

import copy

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from forcefree.models.tensor_network import TensorNetwork
from forcefree.models.trajcast_config import TrajCastConfig
from forcefree.nn.pair_list import PairList

CUTOFF, OUTPUTS = 4.0, 3
N_ATOMS = 9


def network(layers: int = 4, channels: int = 8, seed: int = 0) -> TensorNetwork:
    torch.manual_seed(seed)
    config = TrajCastConfig(preset="paper", head="fixed", channels=channels, layers=layers, filter_width=16)
    model = TensorNetwork(config, 3, CUTOFF, OUTPUTS)
    with torch.no_grad():
        for block in model.blocks:
            for weight in block.update.contraction.parameters():
                weight.mul_(4.0)  # as loud as after some training, so that every path counts
    return model


def system(seed: int = 0, n_atoms: int = N_ATOMS) -> tuple[Tensor, Tensor, Tensor]:
    """Positions, velocities and species of a cluster in which not everybody hears everybody."""
    generator = torch.Generator().manual_seed(seed)
    positions = 6.0 * torch.rand(n_atoms, 3, generator=generator, dtype=torch.float64)
    velocities = 0.03 * torch.randn(n_atoms, 3, generator=generator, dtype=torch.float64)
    return positions, velocities, torch.arange(n_atoms) % 3


def forecast(model: TensorNetwork, positions: Tensor, velocities: Tensor, species: Tensor, every_pair: bool = False) -> Tensor:
    n_atoms = len(positions)
    difference = positions[None] - positions[:, None]
    near = difference.norm(dim=-1) < (1e9 if every_pair else CUTOFF)
    receiver, sender = (near & ~torch.eye(n_atoms, dtype=torch.bool)).nonzero().T
    precision = model.readout[0].weight.dtype
    scale = (0.5 + torch.arange(n_atoms)[:, None] * 0.1 + torch.arange(OUTPUTS)).to(precision)
    degree = n_atoms - 1 if every_pair else 0
    pairs = PairList(difference[receiver, sender].to(precision), receiver, sender, degree)
    return model(pairs, velocities.to(precision), species, scale)


def residual(one: Tensor, other: Tensor) -> float:
    return float(((one - other).abs().max() / other.abs().max()).detach())


def test_neighbours_count_for_as_much_as_the_own_velocity() -> None:
    model = network().double()
    positions, velocities, species = system()
    nudged = positions.clone()
    nudged[:, 0] *= 1.1
    assert residual(forecast(model, nudged, velocities, species), forecast(model, positions, velocities, species)) > 0.05


@pytest.mark.parametrize("reflect", [False, True])
def test_rotations_and_reflections_are_exact(reflect: bool) -> None:
    model = network().double()
    turn = torch.tensor(Rotation.random(random_state=3).as_matrix()) * (-1.0 if reflect else 1.0)
    positions, velocities, species = system()
    turned = forecast(model, positions @ turn.T, velocities @ turn.T, species)
    assert residual(turned, torch.einsum("ab,nbk->nak", turn, forecast(model, positions, velocities, species))) < 1e-10


def test_a_mirror_image_is_not_the_same_molecule() -> None:
    model = network().double()
    positions, velocities, species = system()
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    mirrored = forecast(model, positions @ mirror, velocities @ mirror, species)
    here = forecast(model, positions, velocities, species)
    assert residual(mirrored, mirror @ here) < 1e-10
    assert residual(mirrored, here) > 1e-2


def test_the_order_of_the_atoms_and_the_origin_do_not_matter() -> None:
    model = network().double()
    positions, velocities, species = system()
    here = forecast(model, positions, velocities, species)
    order = torch.randperm(N_ATOMS, generator=torch.Generator().manual_seed(1))
    scaled = here / (0.5 + torch.arange(N_ATOMS)[:, None] * 0.1 + torch.arange(OUTPUTS))[:, None]
    permuted = forecast(model, positions[order] + 17.0, velocities[order], species[order])
    permuted = permuted / (0.5 + torch.arange(N_ATOMS)[:, None] * 0.1 + torch.arange(OUTPUTS))[:, None]
    assert residual(permuted, scaled[order]) < 1e-10


def test_a_far_away_companion_changes_nothing() -> None:
    model = network().double()
    positions, velocities, species = system()
    others, swift, kinds = system(seed=4, n_atoms=5)
    together = forecast(model, torch.cat([positions, others + 100.0]), torch.cat([velocities, swift]), torch.cat([species, kinds]))
    assert residual(together[:N_ATOMS], forecast(model, positions, velocities, species)) < 1e-10


def test_pairs_beyond_the_cutoff_are_silent() -> None:
    model = network().double()
    state = system()
    assert residual(forecast(model, *state, every_pair=True), forecast(model, *state)) < 1e-12


def test_an_atom_without_neighbours_gets_zero_also_alone() -> None:
    model = network().double()
    positions, velocities, species = system()
    positions[4] += 50.0
    result = forecast(model, positions, velocities, species)
    assert result[4].abs().max() == 0.0
    assert result[3].abs().max() > 0.0
    alone = forecast(model, positions[:1], velocities[:1], species[:1])
    assert alone.shape == (1, 3, OUTPUTS)
    assert alone.abs().max() == 0.0


def test_a_pair_is_let_go_smoothly() -> None:
    model = network(layers=2).double()
    species, velocities = torch.tensor([0, 1]), torch.tensor([[0.01, 0.02, 0.0], [-0.02, 0.01, 0.03]], dtype=torch.float64)

    def size(gap: float) -> float:
        positions = torch.tensor([[0.0, 0.0, 0.0], [CUTOFF - gap, 0.0, 0.0]], dtype=torch.float64)
        return float(forecast(model, positions, velocities, species).detach().norm())

    assert size(-1e-6) == 0.0
    assert size(0.02) / size(0.04) < 0.25
    assert size(1e-3) < 1e-6 * size(2.0)


def test_an_atom_passes_through_rest_smoothly() -> None:
    model = network().double()
    positions, velocities, species = system()
    direction = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)

    def at(speed: float) -> Tensor:
        moved = velocities.clone()
        moved[2] = speed * direction
        return forecast(model, positions, moved, species)

    assert residual(at(1e-9), at(-1e-9)) < 1e-5
    slopes = [(at(speed + 1e-6) - at(speed - 1e-6)) / 2e-6 for speed in (0.0, 1e-4)]
    assert residual(slopes[0], slopes[1]) < 0.05


def test_velocities_beyond_the_range_are_still_told_apart() -> None:
    model = network().double()
    positions, velocities, species = system()
    fast = [forecast(model, positions, velocities * factor, species) for factor in (8.0, 12.0)]
    assert residual(fast[0], fast[1]) > 1e-2


def test_tables_give_what_the_perceptrons_give() -> None:
    model = network(channels=16)
    state = system()
    plain = forecast(model, *state)
    assert plain.requires_grad
    with torch.no_grad():
        fast = forecast(model, *state)
        exact = forecast(copy.deepcopy(model).double(), *state)
    assert residual(fast, plain.detach()) < 2e-5
    assert residual(fast.double(), exact) < 2e-5


@pytest.mark.parametrize("behind_its_back", [False, True])
def test_tables_follow_the_parameters(behind_its_back: bool) -> None:
    model = network()
    state = system()
    with torch.no_grad():
        before = forecast(model, *state)
        weight = model.blocks[1].radial[-1].weight
        (weight.data if behind_its_back else weight).mul_(1.3)
        after = forecast(model, *state)
    assert residual(after, before) > 1e-2
    assert residual(after, forecast(model, *state).detach()) < 2e-5


def test_tables_are_no_part_of_what_is_saved() -> None:
    model = network()
    with torch.no_grad():
        forecast(model, *system())
    fresh = network(seed=5)
    fresh.load_state_dict(model.state_dict())
    assert residual(forecast(fresh, *system()), forecast(model, *system())) == 0.0
    assert not any("coupling" in name or "table" in name for name in model.state_dict())


def test_every_parameter_learns_and_gradients_are_right() -> None:
    model = network(layers=3, channels=4).double()
    positions, velocities, species = system()
    forecast(model, positions, velocities, species).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0.0, name
    velocities.requires_grad_()
    positions.requires_grad_()
    total = forecast(model, positions, velocities, species).sin().sum()
    gradients = torch.autograd.grad(total, (positions, velocities))
    with torch.no_grad():
        for tensor, gradient in zip((positions, velocities), gradients, strict=True):
            step = torch.zeros_like(tensor)
            step[3, 1] = 1e-6
            inputs = [(tensor + sign * step) for sign in (1.0, -1.0)]
            pairs = [(x, velocities) if tensor is positions else (positions, x) for x in inputs]
            up, down = (forecast(model, *pair, species).sin().sum() for pair in pairs)
            assert float((up - down) / 2e-6) == pytest.approx(float(gradient[3, 1]), rel=1e-5, abs=1e-7)


def test_the_preset_has_the_published_size() -> None:
    model = TensorNetwork(TrajCastConfig(preset="paper", head="fixed"), 4, CUTOFF, 2)
    published = 2_431_144
    trimmed = published - sum(parameter.numel() for parameter in model.parameters())
    assert 0 < trimmed < 0.15 * published  # the last block lacks what cannot reach its vectors


def test_it_learns_a_little_dynamics() -> None:
    model = network(layers=2, channels=16)
    positions, velocities, species = system()
    target = 0.3 * torch.tanh(forecast(network(layers=1, channels=8, seed=9), positions, velocities, species).detach())
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = (forecast(model, positions, velocities, species) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]


@pytest.mark.slow
def test_compiled_parts_give_what_eager_ones_give() -> None:
    model = network(channels=16, layers=2)
    with torch.no_grad():
        eager = [forecast(model, *system(seed)) for seed in range(3)]
        model.compile_parts()
        for seed in range(3):
            assert residual(forecast(model, *system(seed)), eager[seed]) < 1e-5
