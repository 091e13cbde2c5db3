"""GF-NODE about a reference structure: every symmetry of the molecule, of space and of its labels, and what it does without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.gfnode import GfNode
from forcefree.nn.flight import positions_alone
from forcefree.state import State

TIMES = torch.tensor([0.0, 7.0, 80.0], dtype=torch.float64)


def carbons(name: str = "C6H6") -> Atoms:
    atoms = molecule(name)
    return atoms[[atom.index for atom in atoms if atom.symbol != "H"]]


def reference(atoms: Atoms) -> dict[str, Any]:
    return {"numbers": atoms.numbers.tolist(), "positions": atoms.positions.tolist()}


def build(atoms: Atoms, *, closed: bool = False, **options: Any) -> GfNode:
    settings = {"channels": 6, "layers": 1, "filter_width": 8, "reference": reference(atoms), **options}
    card = Card(name="t", model="gfnode", options=settings, species=[1, 6, 8], t_max=100.0, cutoff=6.0, closed=closed)
    torch.manual_seed(3)
    model = GfNode(card).double().eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def moving(*molecules: Atoms, seed: int = 1, spread: float = 0.05) -> State:
    state = State.from_atoms(molecules)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(2, state.n_atoms, 3, generator=generator, dtype=torch.float64)
    return state.with_(positions=state.positions + spread * noise[0], velocities=0.02 * noise[1])


def forecast(model: GfNode, state: State, times: Tensor = TIMES) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        frames = model.forecast((state,), times)
    return frames.positions, frames.velocities


def chiral() -> Atoms:
    """A bent chain of four atoms off any plane, whose mirror image is another molecule."""
    return Atoms("OCCC", positions=[[0.0, 0.0, 0.0], [1.4, 0.0, 0.0], [1.9, 1.4, 0.0], [3.1, 1.6, 0.9]])


MOLECULES = {"ring": carbons(), "chain": carbons("CH3CH2OH"), "chiral": chiral(), "all atoms": molecule("CH3CH2OH")}


@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize("name", list(MOLECULES))
def test_space_has_no_directions_no_origin_and_no_hand(name: str, network: bool) -> None:
    model, state = build(MOLECULES[name], network=network, turning=False), moving(MOLECULES[name])
    positions, velocities = forecast(model, state)
    torch.testing.assert_close(positions[0], state.positions, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(velocities[0], state.velocities, rtol=0.0, atol=1e-12)
    for hand in (1.0, -1.0):
        turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))
        turn = turn * torch.linalg.det(turn) * hand
        turned = forecast(model, state.with_(positions=state.positions @ turn + 20.0, velocities=state.velocities @ turn))
        torch.testing.assert_close(turned[0], positions @ turn + 20.0, rtol=0.0, atol=1e-10)
        torch.testing.assert_close(turned[1], velocities @ turn, rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("spread", [0.0, 0.05])
@pytest.mark.parametrize("name", list(MOLECULES))
def test_labels_do_not_matter_also_where_the_shape_is_symmetric(name: str, spread: float) -> None:
    atoms = MOLECULES[name]
    model, state = build(atoms, network=False), moving(atoms, spread=spread)
    order = torch.from_numpy(np.random.default_rng(5).permutation(len(atoms)))
    relabelled = state.with_(**{field: getattr(state, field)[order] for field in ("positions", "velocities", "numbers", "masses")})
    torch.testing.assert_close(forecast(model, relabelled)[0], forecast(model, state)[0][:, order], rtol=0.0, atol=1e-10)


def test_batch_mates_and_other_times_do_not_matter() -> None:
    ring = carbons()
    model, state = build(ring), moving(molecule("CH3OH"), ring, ring, molecule("CO2"))
    positions, _ = forecast(model, state)
    for system in range(4):
        chosen = torch.arange(4) == system
        alone, _ = forecast(model, state.select(chosen), TIMES[2:])
        torch.testing.assert_close(alone[0], positions[2, chosen[state.system]], rtol=0.0, atol=1e-10)


def test_a_molecule_that_is_not_the_reference_has_the_plain_forecast() -> None:
    with_reference, plain = build(carbons(), turning=False), build(carbons(), turning=False, reference=None)
    plain.load_state_dict({name: value for name, value in with_reference.state_dict().items() if not name.startswith("reference.")})
    other, same = moving(molecule("CH3OH")), moving(carbons())
    torch.testing.assert_close(forecast(with_reference, other)[0], forecast(plain, other)[0], rtol=0.0, atol=0.0)
    assert (forecast(with_reference, same)[0] - forecast(plain, same)[0]).abs().max() > 1e-3


def test_a_breaking_bond_changes_the_forecast_smoothly() -> None:
    ring = carbons()
    model = build(ring, network=False)

    def after(stretch: float) -> Tensor:
        opened = ring.copy()
        opened.set_distance(0, 1, stretch, fix=0)
        return forecast(model, moving(opened, spread=0.0))[0][2]

    lengths = np.linspace(1.5, 2.4, 181)
    steps = torch.stack([after(length) for length in lengths]).diff(dim=0).abs().amax(dim=(1, 2))
    assert steps.max() < 0.15, "no jump"
    assert steps.max() > 1e-3


def test_momentum_is_exact_where_all_atoms_are_there() -> None:
    ethanol = molecule("CH3CH2OH")
    model, state = build(ethanol, closed=True), moving(ethanol)
    positions, velocities = forecast(model, state)
    momentum = (state.masses[:, None] * velocities).sum(dim=1)
    torch.testing.assert_close(momentum, momentum[:1].expand_as(momentum), rtol=0.0, atol=1e-12)
    flown = state.mean_by_mass(state.positions) + TIMES[2] * state.mean_by_mass(state.velocities)
    torch.testing.assert_close(state.mean_by_mass(positions[2]), flown, rtol=0.0, atol=1e-11)


def test_the_sample_that_it_starts_from_must_be_the_reference() -> None:
    model = build(carbons(), network=False)
    model.start_from(moving(*[carbons()] * 100))
    untouched = build(carbons("CH3CH2OH"), network=False)
    with pytest.raises(ForcefreeError, match="none of the structures to start from"):
        untouched.start_from(moving(molecule("CH3OH")))


def turned_end(angle: float) -> Atoms:
    """The bent chain with its last atom turned about the bond before."""
    atoms = chiral()
    atoms.rotate_dihedral(0, 1, 2, 3, angle, indices=[3])
    return atoms


def test_a_molecule_follows_the_conformer_that_it_is_near_to() -> None:
    shapes = chiral(), turned_end(100.0)
    both = build(shapes[0], network=False, conformers=[reference(shapes[1])])
    both.reference.log_decided.data.fill_(-9.0)
    for index, shape in enumerate(shapes):
        single = build(shape, network=False, conformers=[reference(shape)])
        for own in single.reference.shapes:
            own.load_state_dict(both.reference.shapes[index].state_dict())
        single.reference.log_decided.data.copy_(both.reference.log_decided)
        state = moving(shape, spread=0.02)
        torch.testing.assert_close(forecast(both, state)[0], forecast(single, state)[0], rtol=0.0, atol=1e-9)


def test_between_two_conformers_the_forecast_changes_smoothly() -> None:
    model = build(chiral(), network=False, conformers=[reference(turned_end(100.0))])
    along = torch.stack([forecast(model, moving(turned_end(angle), spread=0.0))[0][2] for angle in np.linspace(0.0, 100.0, 401)])
    steps = along.diff(dim=0).abs().amax(dim=(1, 2))
    assert steps.max() < 0.05, "no jump"
    assert (along[-1] - along[0]).abs().max() > 0.1


def test_a_bent_molecule_has_a_frame() -> None:
    for atoms in (molecule("H2O"), carbons("CH3CH2OH")):
        build(atoms)


def test_gradients_pass_the_superposition_of_a_planar_ring() -> None:
    model, state = build(carbons(), network=False), moving(carbons(), spread=0.0)
    positions = state.positions.clone().requires_grad_()
    direction = torch.randn(positions.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

    def value(x: Tensor) -> Tensor:
        return model.forecast((state.with_(positions=x),), TIMES).positions.square().sum()

    value(positions).backward()
    assert positions.grad is not None
    with torch.no_grad():
        difference = (value(positions + 1e-6 * direction) - value(positions - 1e-6 * direction)) / 2e-6
    torch.testing.assert_close((positions.grad * direction).sum(), difference, rtol=1e-5, atol=1e-6)


def test_positions_alone_are_the_same_positions() -> None:
    model, state = build(carbons()), moving(carbons())
    positions, _ = forecast(model, state)
    with positions_alone():
        alone, velocities = forecast(model, state)
    torch.testing.assert_close(alone, positions, rtol=0.0, atol=1e-14)
    assert bool(velocities.isnan().all())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": {"numbers": [8, 6, 8], "positions": [[0, 0, 0], [1.2, 0, 0], [2.4, 0, 0]]}}, "lies on a line"),
        ({"reference": {"numbers": [8, 6, 8], "positions": [[0, 0, 0], [1.2, 0.3, 0], [2.4, 0, 0]]}}, "lies on a line"),
        ({"reference": {"numbers": [6, 6], "positions": [[0, 0, 0]]}}, "has 2 atomic numbers but 1 positions"),
        ({"reference": None, "network": False}, "without a network there must be a reference"),
        ({"conformers": [reference(carbons("CH3CH2OH"))]}, "conformers must have the atoms of the reference"),
        (
            {"conformers": [{"numbers": [6] * 6, "positions": [[1.4 * k, 0.5 * (k % 2), 0] for k in range(6)]}]},
            "conformer 1 of .* has other bonds",
        ),
    ],
)
def test_unusable_options_are_sentences(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ForcefreeError, match=message):
        build(carbons(), **options)
