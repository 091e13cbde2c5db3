"""Attention layers: causal in time, smooth at the cutoff, the same for every seat, lattice image and batch."""

from __future__ import annotations

import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch import Tensor

from forcefree.nn.global_attention import GlobalAttention, closeness
from forcefree.nn.local_attention import LocalAttention, bounded_exp
from forcefree.nn.padding import Padding
from forcefree.nn.temporal_attention import TemporalAttention
from forcefree.nn.velocity_message import EdgeFeatures
from forcefree.state import State

torch.manual_seed(4)


def tokens(rows: int, atoms: int, channels: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows * atoms)
    return (
        torch.randn(rows, atoms, channels, generator=generator, dtype=torch.float64),
        torch.randn(rows, atoms, 3, channels, generator=generator, dtype=torch.float64),
    )


def test_no_token_knows_of_a_later_one() -> None:
    layer = TemporalAttention(8, 2, 6).double()
    torch.nn.init.normal_(layer.lag_bias)
    scalars, vectors = tokens(6, 3)
    rows = torch.arange(6)
    plain = layer(scalars, layer.remember(scalars, vectors), rows, rows)
    for first in range(1, 6):
        other_scalars, other_vectors = scalars.clone(), vectors.clone()
        other_scalars[first:] += 1.0
        other_vectors[first:] *= -2.0
        changed = layer(other_scalars, layer.remember(other_scalars, other_vectors), rows, rows)
        for before, after in zip(plain, changed, strict=True):
            assert torch.equal(before[:first], after[:first])
            assert (before[first:] - after[first:]).abs().amax(dim=(1, 2) if before.ndim == 3 else (1, 2, 3)).min() > 1e-3


def test_one_token_that_looks_sees_what_all_see_together() -> None:
    """As in the decoder, which looks from one token after another."""
    layer = TemporalAttention(8, 4, 6).double()
    scalars, vectors = tokens(6, 3)
    rows = torch.arange(6)
    keys, values = layer.remember(scalars, vectors)
    together = layer(scalars, (keys, values), rows, rows)
    alone = layer(scalars[3:4], (keys[:4], values[:4]), rows[3:4], rows[:4])
    torch.testing.assert_close(alone[0], together[0][3:4])
    torch.testing.assert_close(alone[1], together[1][3:4])


def test_global_attention_is_the_same_alone_and_in_a_mixed_batch() -> None:
    layer = GlobalAttention(8, 2).double()
    alone, mixed = (State.from_atoms(m) for m in ([molecule("CH3OH")], [molecule("H2O"), molecule("CH3OH"), molecule("C6H6")]))
    scalars, vectors = tokens(2, mixed.n_atoms)
    own = mixed.system == 1

    def heard(state: State, chosen: Tensor) -> tuple[Tensor, Tensor]:
        padding = Padding.of(state)
        near = closeness(state, state.positions.expand(2, -1, -1), padding)
        voice = torch.linspace(0.2, 1.0, mixed.n_atoms, dtype=torch.float64)[chosen].expand(2, -1)
        found: tuple[Tensor, Tensor] = layer(scalars[:, chosen], vectors[:, chosen], near, voice, padding)
        return found

    together = heard(mixed, torch.ones_like(own))
    for single, among in zip(heard(alone, own), together, strict=True):
        torch.testing.assert_close(among[:, own], single, rtol=1e-12, atol=1e-12)


def test_a_silent_atom_is_not_heard_by_the_whole_system() -> None:
    layer = GlobalAttention(8, 2).double()
    state = State.from_atoms([molecule("CH3OH")])
    scalars, vectors = tokens(1, 6)
    padding = Padding.of(state)
    voice = torch.tensor([[1.0, 1.0, 0.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    near = closeness(state, state.positions[None], padding)
    plain = layer(scalars, vectors, near, voice, padding)[0]
    scalars[:, 2] += 3.0
    louder = layer(scalars, vectors, near, voice, padding)[0]
    others = torch.tensor([0, 1, 3, 4, 5])
    assert torch.equal(plain[:, others], louder[:, others])


def test_closeness_is_one_distance_for_molecules_and_the_same_for_every_image() -> None:
    apart = State.from_atoms([Atoms("HO", positions=[[0, 0, 0], [0, 0, 2.0]])])
    assert abs(float(closeness(apart, apart.positions[None], Padding.of(apart))[0, 0, 0, 1]) - 0.5) < 1e-12
    crystal = State.from_atoms([bulk("Cu", cubic=True), bulk("Cu", "fcc", 3.6)])
    wrapped = crystal.positions.clone()
    wrapped[1] += crystal.cell[0, 0] - 2.0 * crystal.cell[0, 2]
    padding = Padding.of(crystal)
    plain, other = (closeness(crystal, frame[None], padding) for frame in (crystal.positions, wrapped))
    torch.testing.assert_close(plain[:, :1], other[:, :1], rtol=1e-12, atol=1e-12)


def test_local_attention_fades_to_nothing_and_sums_over_any_list() -> None:
    layer = LocalAttention(8, 4, 8, 2).double()
    scalars, vectors = (values[0] for values in tokens(1, 3))
    receiver, sender = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([1, 2, 0, 2, 0, 1])
    directions = torch.nn.functional.normalize(torch.randn(6, 3, dtype=torch.float64), dim=1)

    def heard(envelope: float, degree: int) -> tuple[Tensor, Tensor]:
        fade = torch.ones(6, 1, dtype=torch.float64)
        fade[:2] = envelope
        invariants = torch.linspace(-1, 1, 24, dtype=torch.float64).view(6, 4)
        edges = EdgeFeatures(receiver, sender, degree, invariants, fade, directions[..., None], 0.1 * directions[..., None])
        found: tuple[Tensor, Tensor] = layer(scalars, vectors, edges)
        return found

    assert float(heard(0.0, 2)[0][0].detach().abs().max()) == 0.0
    assert float(heard(1e-6, 2)[1][0].detach().abs().max()) < 1e-4
    assert float(heard(1.0, 2)[1][0].detach().abs().max()) > 1e-2
    torch.testing.assert_close(heard(0.3, 2), heard(0.3, 0))


def test_weights_neither_overflow_nor_vanish() -> None:
    weights = bounded_exp(torch.tensor([-1e6, 0.0, 1e-3, 1e6]))
    assert bool(weights.isfinite().all())
    assert float(weights[0]) > 1e-3
    torch.testing.assert_close(weights[1:3], torch.tensor([1.0, 1.001]), rtol=1e-5, atol=0.0)
