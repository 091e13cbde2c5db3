"""Pairs in several frames at once, company, and seats of systems of different sizes."""

from __future__ import annotations

import torch
from ase import Atoms
from ase.build import molecule

from clusters import CUTOFF, random
from forcefree.graph import Neighbours
from forcefree.nn.bases import envelope
from forcefree.nn.frames import FramePairs, participation
from forcefree.nn.padding import Padding
from forcefree.state import State


def test_every_frame_is_seen_as_if_it_were_alone() -> None:
    torch.manual_seed(0)
    state = State.from_atoms([molecule("CH4"), molecule("H2O")])
    pairs, frames = Neighbours(CUTOFF)(state), FramePairs(6, 2, CUTOFF).double()
    species = (state.numbers > 1).long()
    positions, velocities = state.positions + 0.1 * random(3, state.n_atoms, 3), 0.02 * random(3, state.n_atoms, 3, seed=1)
    arms = torch.stack([pairs.vectors(state, frame) for frame in positions])
    relative = velocities[:, pairs.sender] - velocities[:, pairs.receiver]
    together = frames(arms, relative, pairs, species)
    count = len(pairs.receiver)
    assert together.invariants.shape == (3 * count, frames.n_features)
    for row in range(3):
        alone, own = frames(arms[row : row + 1], relative[row : row + 1], pairs, species), slice(row * count, (row + 1) * count)
        for name in ("invariants", "envelope", "directions", "velocities"):
            torch.testing.assert_close(getattr(together, name)[own], getattr(alone, name), rtol=0.0, atol=0.0)
        assert torch.equal(together.receiver[own], pairs.receiver + row * state.n_atoms)
        assert torch.equal(together.sender[own], pairs.sender + row * state.n_atoms)
    listed = arms[0].norm(dim=-1)
    faded = frames(arms, relative, pairs, species, listed)
    torch.testing.assert_close(faded.envelope, together.envelope * envelope(listed, CUTOFF).repeat(3)[:, None])


def test_company_grows_with_neighbours_and_ends_at_the_cutoff() -> None:
    state = State.from_atoms([Atoms("C4", positions=[[0, 0, 0], [1.5, 0, 0], [3.0, 0, 0], [3.0 + CUTOFF, 0, 0]])])
    receiver, sender = (~torch.eye(4, dtype=torch.bool)).nonzero().T
    distances = (state.positions[sender] - state.positions[receiver]).norm(dim=1)
    found = participation(distances, receiver, 4, 3, CUTOFF)
    near, far = envelope(torch.tensor([1.5, 3.0], dtype=torch.float64), CUTOFF)
    torch.testing.assert_close(found[:3], torch.tanh(torch.stack([near + far, 2.0 * near, near + far])))
    assert float(found[3]) == 0.0
    torch.testing.assert_close(participation(distances, receiver, 4, 0, CUTOFF), found)
    assert participation(distances[:0], receiver[:0], 2, 0, CUTOFF).tolist() == [0.0, 0.0]


def test_atoms_come_back_from_their_seats_and_empty_ones_are_zero() -> None:
    for names in (["CH4", "H2O", "H"], ["H2O", "H2O"]):
        state = State.from_atoms([molecule(name) for name in names])
        padding, values = Padding.of(state), random(2, state.n_atoms, 3)
        padded = padding.pad(values)
        assert padded.shape == (2, len(names), int(state.sizes.max()), 3)
        torch.testing.assert_close(padding.unpad(padded), values, rtol=0.0, atol=0.0)
        torch.testing.assert_close(padded.sum(dim=2), torch.stack([state.sum(row) for row in values]))
        assert int((padded.abs().sum(dim=(0, 3)) == 0.0).sum()) == len(names) * int(state.sizes.max()) - state.n_atoms
