"""Blocks of pairs: every atom and pair once, and the same answer as in one piece."""

from __future__ import annotations

import pytest
import torch
from ase.build import bulk

from clusters import edges, random
from forcefree.models.card import Card
from forcefree.models.energy_config import EnergyConfig
from forcefree.models.registry import build_model
from forcefree.nn.pair_blocks import pair_blocks
from forcefree.state import State

SMALL = {"channels": 8, "matrix_channels": 4, "heads": 2, "layers": 2, "nodes": 3, "filter_width": 8, "refinement_width": 8}


@pytest.mark.parametrize("largest", [1, 5, 7, 100])
def test_blocks_have_every_atom_and_every_pair_once(monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    monkeypatch.setattr("forcefree.nn.pair_blocks.LARGEST_BLOCK", largest)
    known = edges(random(6, 3), random(6, 3), uniform=False)
    keep = (known.receiver != 0) & (known.receiver != 4) & ~((known.receiver == 5) & (known.sender > 0))
    known = edges_of(known, keep)
    with torch.no_grad():
        blocks = pair_blocks(known, 6)
    assert [atom for block in blocks for atom in range(6)[block.atoms]] == list(range(6))
    assert torch.equal(torch.cat([block.edges.receiver + block.atoms.start for block in blocks]), known.receiver)
    for name in ("sender", "invariants", "envelope", "directions", "velocities"):
        assert torch.equal(torch.cat([getattr(block.edges, name) for block in blocks]), getattr(known, name))
    assert all(len(block.edges.receiver) <= max(largest, 5) for block in blocks)
    assert (len(blocks) == 1) == (largest == 100)


def edges_of(known, keep):
    parts = {name: getattr(known, name)[keep] for name in ("receiver", "sender", "invariants", "envelope", "directions", "velocities")}
    return type(known)(degree=0, **parts)


def test_gradients_are_recorded_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forcefree.nn.pair_blocks.LARGEST_BLOCK", 3)
    assert len(pair_blocks(edges(random(4, 3), random(4, 3)), 4)) == 1


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("normalised", [True, False])
def test_a_forecast_and_an_energy_in_blocks_are_those_in_one_piece(
    monkeypatch: pytest.MonkeyPatch, periodic: bool, normalised: bool
) -> None:
    torch.manual_seed(0)
    options = {**SMALL, "normalised": normalised}
    card = Card(name="t", model="mdtrajnet", options=options, energy=EnergyConfig(), species=[29], t_max=10.0, cutoff=4.0)
    model = build_model(card).double().eval()
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn_like(parameter)
    crystal = bulk("Cu", cubic=True) * (2, 2, 2)
    crystal.pbc = periodic
    crystal.rattle(0.1, seed=1)
    state = State.from_atoms([crystal, crystal[:7]])
    state = state.with_(velocities=0.01 * random(state.n_atoms, 3))
    times = torch.tensor([3.0, 10.0], dtype=torch.float64)
    with torch.inference_mode():
        whole, energy = model.forecast((state,), times), model.potential_energy(state)
        for largest in (1, 100, 333):
            monkeypatch.setattr("forcefree.nn.pair_blocks.LARGEST_BLOCK", largest)
            parts = model.forecast((state,), times)
            torch.testing.assert_close(parts.positions, whole.positions, rtol=0.0, atol=1e-11)
            torch.testing.assert_close(parts.velocities, whole.velocities, rtol=0.0, atol=1e-12)
            torch.testing.assert_close(model.potential_energy(state), energy, rtol=0.0, atol=1e-10)
    assert (whole.velocities - state.velocities).abs().max() > 1e-6
