"""The energy head: a sum over atoms that sees positions alone, to 1e-10 in float64; models without one stay as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.energy_config import EnergyConfig
from forcefree.models.files import load, save_model
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model
from forcefree.state import State

HEAD = EnergyConfig(channels=8, matrix_channels=4, filter_width=8)
OPTIONS = {"channels": 8, "layers": 1, "refinements": 0, "filter_width": 8}


def build(energy: EnergyConfig | None = HEAD) -> Forecaster:
    torch.manual_seed(3)
    card = Card(name="t", model="trajcast", options=OPTIONS, energy=energy, species=[1, 6, 8, 29], t_max=10.0, cutoff=5.0)
    model = build_model(card).double().eval()
    if model.energy is not None:
        model.energy.references.copy_(torch.tensor([-13.0, -1029.0, -2041.0, -5.0]))
        torch.nn.init.normal_(model.energy.readout[-1].weight, std=0.3)
    return model


def energies(model: Forecaster, molecules: list[Atoms]) -> Tensor:
    with torch.inference_mode():
        return model.potential_energy(State.from_atoms(molecules))


def bent(name: str = "CH3CH2OH") -> Atoms:
    atoms = molecule(name)
    atoms.rattle(0.05, seed=2)
    return atoms


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rotation_reflection_translation_and_permutation_change_nothing(sign: float) -> None:
    model, atoms = build(), bent()
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    moved = atoms[torch.randperm(len(atoms), generator=torch.Generator().manual_seed(1)).tolist()]
    moved.positions = moved.positions @ (sign * rotation).numpy() + [30.0, -7.0, 2.0]
    found = energies(model, [atoms])
    torch.testing.assert_close(energies(model, [moved]), found, rtol=0.0, atol=1e-9)
    stretched = atoms.copy()
    stretched.positions *= 1.02
    assert abs(float(energies(model, [stretched]) - found)) > 1e-3, "the head must do something"


def test_velocities_are_not_seen() -> None:
    model, state = build(), State.from_atoms([bent()])
    faster = state.with_(velocities=torch.randn_like(state.positions))
    assert torch.equal(model.potential_energy(state), model.potential_energy(faster))


def test_energies_add_up_and_batch_mates_do_not_count() -> None:
    model, one, other = build(), bent(), bent("CH3OH")
    alone = torch.cat([energies(model, [one]), energies(model, [other])])
    torch.testing.assert_close(energies(model, [one, other]), alone, rtol=0.0, atol=1e-9)
    torch.testing.assert_close(energies(model, [bulk("Cu", cubic=True), one, other])[1:], alone, rtol=0.0, atol=1e-9)
    far = other.copy()
    far.translate([40.0, 0.0, 0.0])
    torch.testing.assert_close(energies(model, [one + far])[0], alone.sum(), rtol=0.0, atol=1e-9)


def test_a_supercell_has_the_energy_of_its_cells_wherever_atoms_are_wrapped() -> None:
    model, cell = build(), bulk("Cu", cubic=True)
    cell.rattle(0.1, seed=1)
    cell.set_cell(cell.cell.array @ [[1, 0.1, 0], [0, 1, 0.05], [0.02, 0, 1]])
    found = energies(model, [cell])
    torch.testing.assert_close(energies(model, [cell * (2, 1, 3)]), 6.0 * found, rtol=0.0, atol=1e-9)
    wrapped = cell.copy()
    wrapped.positions[2] += cell.cell[0] - 2.0 * cell.cell[1]
    torch.testing.assert_close(energies(model, [wrapped]), found, rtol=0.0, atol=1e-9)
    open_cell = Atoms(cell.numbers, cell.positions)
    assert abs(float(energies(model, [open_cell]) - found)) > 1e-3


def test_a_neighbour_leaves_smoothly_and_a_lone_atom_keeps_its_own_energy() -> None:
    model = build()

    def pair(distance: float) -> float:
        return float(energies(model, [Atoms("CO", positions=[[0, 0, 0], [0, 0, distance]])]))

    apart = float(energies(model, [Atoms("C")]) + energies(model, [Atoms("O")]))
    assert abs(pair(4.999) - apart) < 1e-6
    assert pair(5.001) == pytest.approx(apart, abs=1e-10)
    assert abs(pair(2.0) - apart) > 1e-3


def test_forces_are_the_slope_of_the_energy() -> None:
    model, state = build(), State.from_atoms([bent()])
    positions = state.positions.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model.potential_energy(state.with_(positions=positions)).sum(), positions)
    for atom, axis in ((0, 1), (2, 0), (7, 2)):
        shifts = torch.zeros(2, *positions.shape, dtype=torch.float64)
        shifts[0, atom, axis], shifts[1, atom, axis] = 1e-4, -1e-4
        with torch.no_grad():
            up, down = (float(model.potential_energy(state.with_(positions=state.positions + shift))) for shift in shifts)
        assert (up - down) / 2e-4 == pytest.approx(float(slope[atom, axis]), rel=1e-5, abs=1e-7)
    assert float(slope.sum(dim=0).abs().max()) < 1e-10


def test_a_head_is_saved_and_loaded_and_a_model_without_one_says_so(tmp_path: Path) -> None:
    with_head, without = build().float(), build(None).float()
    with_head.energy.references.data = with_head.energy.references.double()  # type: ignore[union-attr]
    for name, model in (("with", with_head), ("without", without)):
        save_model(model, tmp_path / f"{name}.safetensors")
    atoms = bent()
    torch.testing.assert_close(energies(load(tmp_path / "with.safetensors"), [atoms]), energies(with_head, [atoms]))
    plain = load(tmp_path / "without.safetensors")
    assert not plain.knows_energy
    assert "energy.references" not in plain.state_dict()
    with pytest.raises(ForcefreeError, match=r"has no energy head.*potential_weight"):
        energies(plain, [atoms])
