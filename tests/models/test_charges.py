"""A TrajCast whose latent charges act through the whole cell: exact where every forecaster is, and far-sighted."""

import pytest
import torch
from ase import Atoms
from ase.build import bulk
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model
from forcefree.state import State

TIMES = torch.tensor([0.0, 4.0, 10.0], dtype=torch.float64)


def model(charges: int = 2, architecture: str = "trajcast") -> Forecaster:
    options = {"channels": 8, "layers": 1, "refinements": 2, "nodes": 3, "refinement_width": 8, "filter_width": 8, "charges": charges}
    if architecture == "mdtrajnet":
        options |= {"matrix_channels": 4, "heads": 2}
    built = build_model(Card(name="c", model=architecture, options=options, species=[11, 17], t_max=10.0, cutoff=4.0)).double()
    generator = torch.Generator().manual_seed(5)
    for parameter in built.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return built.eval()


def salt(repeats: tuple[int, int, int] = (1, 1, 1), seed: int = 3) -> State:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * repeats
    atoms.set_cell([*atoms.cell.array[:2], atoms.cell.array[2] + [0.9, -0.5, 0.0]], scale_atoms=True)
    atoms.rattle(0.2, seed=seed)
    return moving(atoms)


def moving(atoms: Atoms) -> State:
    state = State.from_atoms([atoms])
    generator = torch.Generator().manual_seed(1)
    return state.with_(velocities=0.02 * torch.randn(state.n_atoms, 3, generator=generator, dtype=torch.float64))


def forecast(which: Forecaster, state: State) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        frames = which.forecast((state,), TIMES)
    return frames.positions, frames.velocities


@pytest.mark.parametrize("architecture", ["trajcast", "mdtrajnet"])
def test_rotation_with_the_cell_translation_and_boost(architecture: str) -> None:
    which, state = model(architecture=architecture), salt()
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    shift, boost = torch.tensor([[9.0, -3.0, 7.0], [0.3, -0.1, 0.02]], dtype=torch.float64)
    positions, velocities = forecast(which, state)
    assert (velocities[2] - velocities[0]).abs().max() > 1e-3, "the model must do something"
    turned = state.with_(
        positions=state.positions @ rotation + shift, velocities=state.velocities @ rotation + boost, cell=state.cell @ rotation
    )
    moved, faster = forecast(which, turned)
    torch.testing.assert_close(moved, positions @ rotation + shift + TIMES[:, None, None] * boost, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(faster, velocities @ rotation + boost, rtol=1e-9, atol=1e-9)


def test_momentum_images_and_permutation() -> None:
    which, state = model(), salt()
    positions, velocities = forecast(which, state)
    momentum = (state.masses[:, None] * velocities).sum(dim=1)
    torch.testing.assert_close(momentum, momentum[:1].expand(3, 3), rtol=0.0, atol=1e-10)
    elsewhere = state.positions.clone()
    elsewhere[2] += state.cell[0, 1] - 2.0 * state.cell[0, 2]
    torch.testing.assert_close(forecast(which, state.with_(positions=elsewhere))[1], velocities, rtol=1e-9, atol=1e-9)
    order = torch.randperm(state.n_atoms, generator=torch.Generator().manual_seed(3))
    names = ("positions", "velocities", "numbers", "masses")
    permuted = forecast(which, state.with_(**{name: getattr(state, name)[order] for name in names}))
    torch.testing.assert_close(permuted[0], positions[:, order], rtol=1e-9, atol=1e-9)


def test_nothing_depends_on_batch_mates() -> None:
    which, state = model(), salt()
    alone = forecast(which, state)
    mate = salt((2, 1, 1), seed=4)
    together = State.from_atoms([*mate.to_atoms(), *state.to_atoms()])
    own = together.system == 1
    for single, among in zip(alone, forecast(which, together), strict=True):
        torch.testing.assert_close(among[:, own], single, rtol=1e-9, atol=1e-9)


def test_an_atom_beyond_every_chain_of_neighbours_is_heard_through_charges_alone() -> None:
    far = moving(Atoms("NaClNaCl", positions=[[0, 0, 0], [2.5, 0, 0], [12.0, 0, 0], [14.5, 0, 0]], cell=[24.0] * 3, pbc=True))
    nudged = far.positions.clone()
    nudged[3, 1] += 0.8
    for charges, heard in ((2, True), (0, False)):
        which = model(charges)
        before, after = (forecast(which, far.with_(positions=each))[1][:, :2] for each in (far.positions, nudged))
        before, after = (each - each.mean(dim=1, keepdim=True) for each in (before, after))  # total momentum is shared by all atoms
        assert bool((before - after).abs().max() > 1e-7) is heard


def test_what_has_no_cell_is_refused() -> None:
    with pytest.raises(ForcefreeError, match="periodic in all three directions"):
        forecast(model(), moving(Atoms("NaCl", positions=[[0, 0, 0], [2.5, 0, 0]])))
    with pytest.raises(ForcefreeError, match="charges need the fast preset"):
        build_model(Card(name="p", model="trajcast", options={"preset": "paper", "charges": 2}, species=[11], t_max=10.0, cutoff=4.0))


def test_molecules_are_refused_before_anything_is_forecast() -> None:
    with pytest.raises(ForcefreeError, match="not periodic in all three directions"):
        model().check_system(moving(Atoms("NaCl", positions=[[0, 0, 0], [2.5, 0, 0]])))
    model().check_system(salt())
    model(0).check_system(moving(Atoms("NaCl", positions=[[0, 0, 0], [2.5, 0, 0]])))


def test_gradients_reach_the_charges() -> None:
    which = model().train()
    which.departures((salt(),), TIMES[1:, None]).positions.square().sum().backward()
    for name, parameter in which.named_parameters():
        if ".far." in name:
            assert parameter.grad is not None
            assert parameter.grad.abs().max() > 0.0, name
