"""The shared layers: equivariant, smooth, silent without neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.nn.bases import envelope
from forcefree.nn.perceptron import perceptron
from forcefree.nn.refinement import Look, TrajectoryRefinement, sum_products
from forcefree.nn.update import GatedUpdate
from forcefree.nn.velocity_message import EdgeFeatures, VelocityMessage, relative_motion

torch.manual_seed(3)
ROTATION = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]


def edges(separations: Tensor, velocities: Tensor, receiver: Tensor, sender: Tensor, degree: int) -> EdgeFeatures:
    distances, directions, motion = relative_motion(separations, velocities)
    invariants = torch.cat([distances[:, None], motion], dim=-1)
    fade = envelope(distances, 6.0)[:, None]
    return EdgeFeatures(receiver, sender, degree, invariants, fade, directions[..., None], velocities[..., None])


def complete(n_atoms: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    positions = 1.5 * torch.randn(n_atoms, 3, generator=generator, dtype=torch.float64)
    velocities = 0.2 * torch.randn(n_atoms, 3, generator=generator, dtype=torch.float64)
    receiver, sender = (~torch.eye(n_atoms, dtype=torch.bool)).nonzero().unbind(1)
    return positions[sender] - positions[receiver], velocities[sender] - velocities[receiver], receiver, sender


def test_gated_update_is_equivariant_and_smooth_where_vectors_vanish() -> None:
    layer = GatedUpdate(6).double()
    scalars, vectors = torch.randn(4, 6, dtype=torch.float64), torch.randn(4, 3, 6, dtype=torch.float64)
    plain_s, plain_v = layer(scalars, vectors)
    turned_s, turned_v = layer(scalars, torch.einsum("ab,nbc->nac", ROTATION, vectors))
    torch.testing.assert_close(turned_s, plain_s, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(turned_v, torch.einsum("ab,nbc->nac", ROTATION, plain_v), atol=1e-12, rtol=1e-12)
    small = layer(scalars, 1e-9 * vectors)[0] - layer(scalars, -1e-9 * vectors)[0]
    assert small.abs().max() < 1e-12


def test_velocity_message_is_equivariant_and_both_sums_agree() -> None:
    layer = VelocityMessage(6, 4, 8, 4.0).double()
    separations, velocities, receiver, sender = complete(5, 1)
    scalars, vectors = torch.randn(5, 6, dtype=torch.float64), torch.randn(5, 3, 6, dtype=torch.float64)
    plain_s, plain_v = layer(scalars, vectors, edges(separations, velocities, receiver, sender, 4))
    turned = edges(separations @ ROTATION.T, velocities @ ROTATION.T, receiver, sender, 4)
    turned_s, turned_v = layer(scalars, torch.einsum("ab,nbc->nac", ROTATION, vectors), turned)
    torch.testing.assert_close(turned_s, plain_s, atol=1e-11, rtol=1e-11)
    torch.testing.assert_close(turned_v, torch.einsum("ab,nbc->nac", ROTATION, plain_v), atol=1e-11, rtol=1e-11)
    scattered = layer(scalars, vectors, edges(separations, velocities, receiver, sender, 0))
    torch.testing.assert_close(scattered[1], plain_v, atol=1e-12, rtol=1e-12)


def test_an_atom_without_neighbours_keeps_vanishing_vectors() -> None:
    layer = VelocityMessage(6, 4, 8, 4.0).double()
    none = torch.zeros(0, dtype=torch.int64)
    empty = torch.zeros(0, 3, dtype=torch.float64)
    _, vectors = layer(
        torch.randn(1, 6, dtype=torch.float64), torch.zeros(1, 3, 6, dtype=torch.float64), edges(empty, empty, none, none, 0)
    )
    assert vectors.abs().max() == 0.0


def test_refinement_is_equivariant_and_listens_to_every_node() -> None:
    layer = TrajectoryRefinement(6, 1, 2, 8, 3, 6.0, 4.0).double()
    separations, velocities, receiver, sender = complete(5, 2)
    scalars, vectors = torch.randn(5, 6, dtype=torch.float64), torch.randn(5, 3, 6, dtype=torch.float64)
    pair = torch.randn(20, 2, dtype=torch.float64)
    provisional = separations + velocities * torch.tensor([0.3, 0.6, 1.0], dtype=torch.float64)[:, None, None]

    def run(turn: Tensor, path: Tensor) -> tuple[Tensor, Tensor]:
        lengths = path.norm(dim=-1, keepdim=True)
        known = edges(separations @ turn.T, velocities @ turn.T, receiver, sender, 4)
        seen = Look(layer.filters(lengths, pair), path @ turn.T, lengths)
        return layer(scalars, torch.einsum("ab,nbc->nac", turn, vectors), known, lambda block: seen)

    identity = torch.eye(3, dtype=torch.float64)
    plain_s, plain_v = run(identity, provisional)
    turned_s, turned_v = run(ROTATION, provisional)
    torch.testing.assert_close(turned_s, plain_s, atol=1e-11, rtol=1e-11)
    torch.testing.assert_close(turned_v, torch.einsum("ab,nbc->nac", ROTATION, plain_v), atol=1e-11, rtol=1e-11)
    for node in range(3):
        bent = provisional.clone()
        bent[node] *= 1.05
        assert (run(identity, bent)[1] - plain_v).abs().max() > 1e-6


def test_relative_motion_splits_speed_into_radial_and_transverse() -> None:
    separations = torch.tensor([[2.0, 0.0, 0.0]])
    velocities = torch.tensor([[0.3, 0.4, 0.0]])
    distances, directions, motion = relative_motion(separations, velocities)
    torch.testing.assert_close(distances, torch.tensor([2.0]))
    torch.testing.assert_close(directions, torch.tensor([[1.0, 0.0, 0.0]]))
    torch.testing.assert_close(motion, torch.tensor([[0.3, 0.09, 0.16]]))


def test_perceptron_has_the_widths_asked_for() -> None:
    network = perceptron(3, 5, 2)
    assert network(torch.zeros(7, 3)).shape == (7, 2)
    assert [type(layer).__name__ for layer in network] == ["Linear", "SiLU", "Linear"]
    assert perceptron(3, 2, bias=False)[0].bias is None


def test_sums_of_products_agree_for_equal_and_unequal_degrees() -> None:
    receiver = torch.arange(4).repeat_interleave(3)
    factors, weights = torch.randn(2, 12, 4, dtype=torch.float64), torch.randn(2, 12, 5, dtype=torch.float64)
    expected = torch.stack([torch.einsum("mef,meh->mfh", factors[:, receiver == i], weights[:, receiver == i]) for i in range(4)], dim=1)
    torch.testing.assert_close(sum_products(factors, weights, receiver, 4, 3), expected)
    torch.testing.assert_close(sum_products(factors, weights, receiver, 4, 0), expected)
