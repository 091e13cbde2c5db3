"""The parts of GF-NODE against what is known: chains and rings, damped oscillators, polynomials, rotations."""

from __future__ import annotations

import math

import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.linalg import expm

from forcefree.graph import find_pairs
from forcefree.nn.bond_graph import BondWeights, laplacian_of
from forcefree.nn.flight import in_company
from forcefree.nn.mode_ode import hermite
from forcefree.nn.oscillators import OscillatorFlow
from forcefree.nn.rigid import angular_velocity, turned
from forcefree.nn.soft_norm import softly_normalised
from forcefree.nn.spectrum import Spectrum, canonical_modes
from forcefree.state import State


def laplacian(*molecules: Atoms) -> tuple[State, torch.Tensor]:
    state = State.from_atoms(molecules)
    pairs = find_pairs(state, 6.0)
    distances = pairs.vectors(state, state.positions).norm(dim=-1)
    return state, laplacian_of(state, pairs, BondWeights(6.0).double()(distances, state.numbers, pairs))


def test_the_graph_of_ethanol_is_its_structural_formula() -> None:
    _, matrix = laplacian(molecule("CH3CH2OH"))
    numbers = molecule("CH3CH2OH").numbers
    bonds_of = {6: 4, 8: 2, 1: 1}
    assert matrix[0].diagonal().tolist() == pytest.approx([bonds_of[z] for z in numbers], abs=1e-6)
    torch.testing.assert_close(matrix.sum(dim=-1), torch.zeros_like(matrix[:, 0]), rtol=0.0, atol=1e-12)


def test_a_bond_breaks_smoothly_and_for_good() -> None:
    def weight(distance: float) -> float:
        return -float(laplacian(Atoms("CC", positions=[[0, 0, 0], [distance, 0, 0]]))[1][0, 0, 1])

    assert weight(1.7) == pytest.approx(1.0)
    assert 0.2 < weight(2.09) < 0.8
    assert weight(2.3) == pytest.approx(0.0, abs=1e-12)


def test_padding_does_not_change_a_spectrum() -> None:
    state, alone = laplacian(molecule("CH3OH"))
    together, both = laplacian(molecule("CH3OH"), molecule("C6H6"))
    mine = Spectrum.of(state, alone, alone).values[0]
    padded = Spectrum.of(together, both, both).values[0]
    torch.testing.assert_close(padded[-len(mine) :], mine, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(padded[: -len(mine)], torch.zeros(6, dtype=torch.float64), rtol=0.0, atol=1e-12)


def test_oscillators_are_the_exponential_of_their_generator() -> None:
    torch.manual_seed(0)
    flow = OscillatorFlow(3, 20.0, 400.0).double()
    state, matrix = laplacian(molecule("H2O"))
    spectrum = Spectrum.of(state, matrix, matrix)
    start = torch.randn(1, 3, 4, 3, dtype=torch.float64)
    found = flow(start, spectrum, torch.tensor([[37.0]], dtype=torch.float64))
    quadrature = flow.vector_quadrature(start[:, :, 1:])
    for mode in range(3):
        shift = flow.shift(flow.eigenvalues(spectrum.values[0, mode])).view(2, -1)
        for channel in range(3):
            omega, gamma = (float(rate) for rate in (flow.log_rates + shift)[:, channel].exp())
            propagator = torch.from_numpy(expm(37.0 * torch.tensor([[-gamma, -omega], [omega, -gamma]], dtype=torch.float64).numpy()))
            pair = torch.stack([start[0, mode, 1, channel], quadrature[0, mode, 0, channel]])
            assert float(found[0, 0, mode, 1, channel]) == pytest.approx(float((propagator @ pair)[0]), abs=1e-12)


def test_hermite_interpolation_is_exact_for_cubics() -> None:
    def cubic(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return 1.0 - x + 3.0 * x**2 - 2.0 * x**3, -1.0 + 6.0 * x - 6.0 * x**2

    grid = torch.linspace(0.0, 1.0, 6, dtype=torch.float64)
    values, slopes = cubic(grid)
    wanted = torch.tensor([[0.0, 1.0], [0.33, 0.2], [0.999, 0.4]], dtype=torch.float64)
    found = hermite(values[:, None].repeat(1, 2), slopes[:, None].repeat(1, 2), wanted)
    torch.testing.assert_close(found, cubic(wanted)[0], rtol=0.0, atol=1e-14)


def test_a_spinning_body_is_turned_as_it_spins() -> None:
    state = State.from_atoms([molecule("CH3CH2OH")])
    spin = torch.tensor([0.002, -0.001, 0.003], dtype=torch.float64)
    arms = state.positions - state.mean_by_mass(state.positions)
    spinning = state.with_(velocities=torch.linalg.cross(spin.expand_as(arms), arms) + 0.1)
    torch.testing.assert_close(angular_velocity(spinning)[0], spin, rtol=1e-4, atol=0.0)
    generator = torch.tensor([[0.0, -0.003, -0.001], [0.003, 0.0, -0.002], [0.001, 0.002, 0.0]], dtype=torch.float64)
    expected = arms @ torch.from_numpy(expm(500.0 * generator.numpy())).T
    found = turned(arms, spin.expand_as(arms), torch.full((len(arms), 1), 500.0, dtype=torch.float64))
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-12)


def test_a_linear_molecule_has_no_spin_about_its_axis() -> None:
    state = State.from_atoms([Atoms("CO", positions=[[0, 0, 0], [1.13, 0, 0]])])
    state = state.with_(velocities=torch.tensor([[0.0, 0.01, 0.0], [0.3, -0.01, 0.0]], dtype=torch.float64))
    found = angular_velocity(state)[0]
    assert found[:2].abs().max() < 1e-9
    assert float(found[2]) == pytest.approx(-0.02 / 1.13, rel=1e-4)


def test_company_is_whole_inside_a_molecule_and_none_far_away() -> None:
    state = State.from_atoms([molecule("CH4") + Atoms("H", positions=[[30.0, 0, 0]])])
    pairs = find_pairs(state, 5.0)
    shares = in_company(pairs.vectors(state, state.positions).norm(dim=-1), 5.0, pairs, state.n_atoms)
    assert shares.tolist() == [1.0] * 5 + [0.0]


def test_soft_norms_bound_what_is_large_and_keep_what_is_small() -> None:
    scalars, vectors = torch.full((1, 4), 1e6), torch.full((1, 3, 4), 1e6)
    large = softly_normalised(scalars, vectors)
    assert float(large[0].max()) == pytest.approx(1.0)
    assert float(large[1].max()) == pytest.approx(1.0 / math.sqrt(3.0))
    small = softly_normalised(1e-9 * scalars, 1e-9 * vectors)
    torch.testing.assert_close(small[0], 1e-9 * scalars, rtol=1e-5, atol=0.0)


def test_canonical_modes_do_not_depend_on_the_routine_that_found_them(monkeypatch: pytest.MonkeyPatch) -> None:
    benzene = molecule("C6H6")
    _, matrix = laplacian(benzene[[atom.index for atom in benzene if atom.symbol == "C"]])
    values, vectors = canonical_modes(matrix[0])
    torch.testing.assert_close(matrix[0] @ vectors, vectors * values, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(6, dtype=torch.float64), rtol=0.0, atol=1e-12)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    choice = torch.block_diag(-torch.ones(1, 1, dtype=torch.float64), turn, turn.T, -torch.ones(1, 1, dtype=torch.float64))
    diagonalise = torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: (diagonalise(matrix)[0], diagonalise(matrix)[1] @ choice))
    torch.testing.assert_close(canonical_modes(matrix[0])[1], vectors, rtol=0.0, atol=1e-12)
