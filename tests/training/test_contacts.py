"""Contacts and bonds of periodic, large and liquid systems against ASE's neighbour list, and the guards that come of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from forcefree.data.trajectory import Trajectory
from forcefree.models.card import Card
from forcefree.simulation.guards import Guards, Limits
from forcefree.state import State
from forcefree.temperature import degrees_of_freedom
from forcefree.training.contacts import Contacts
from forcefree.training.statistics import guard_limits


def rattled(atoms: Atoms, frames: int = 12, width: float = 0.08, drift: float = 0.0, seed: int = 0) -> Trajectory:
    """Frames of atoms that shake about their places while all drift, unwrapped, through the boundaries of the cell."""
    rng = np.random.default_rng(seed)
    positions = atoms.positions + width * rng.standard_normal((frames, len(atoms), 3)) + drift * np.arange(frames)[:, None, None]
    return Trajectory(
        "run", atoms.numbers.astype(np.int64), atoms.get_masses(), np.arange(frames, dtype=float), positions,
        cell=np.asarray(atoms.cell.array), pbc=np.asarray(atoms.pbc),
    )  # fmt: skip


def images(trajectory: Trajectory) -> dict[str, float]:
    """Closest approach of each pair of elements but of an atom with its own image, by ASE."""
    closest: dict[str, float] = {}
    for positions in trajectory.positions:
        atoms = Atoms(trajectory.numbers, positions=positions, cell=trajectory.cell, pbc=trajectory.pbc)
        for i, j, distance in zip(*neighbor_list("ijd", atoms, 5.0), strict=True):
            if i != j:
                key = "-".join(map(str, sorted((int(trajectory.numbers[i]), int(trajectory.numbers[j])))))
                closest[key] = min(distance, closest.get(key, np.inf))
    return closest


@pytest.mark.parametrize(
    "atoms",
    [bulk("NaCl", "rocksalt", a=5.64), bulk("NaCl", "rocksalt", a=5.64, cubic=True), bulk("SiC", "zincblende", a=4.36) * (3, 2, 2)],
    ids=["primitive", "cubic", "skewed"],
)
def test_the_closest_contact_is_that_of_any_image(atoms: Atoms) -> None:
    trajectory = rattled(atoms, drift=0.7)
    contacts = Contacts()
    contacts.add(trajectory, 1000)
    assert contacts.closest == pytest.approx(images(trajectory))


def test_a_bond_across_the_boundary_is_as_long_as_one_inside() -> None:
    atoms = bulk("SiC", "zincblende", a=4.36, cubic=True)
    contacts = Contacts()
    contacts.add(rattled(atoms, width=0.0, drift=1.1), 1000)
    assert contacts.longest_bond == {"6-14": pytest.approx(4.36 * np.sqrt(3.0) / 4.0)}
    stretched = rattled(atoms, frames=2, width=0.0)
    stretched.positions[1, 0] += [0.3, 0.3, 0.3]
    contacts.add(stretched, 1000)
    assert contacts.longest_bond["6-14"] == pytest.approx(np.linalg.norm([1.09 + 0.3, 1.09 + 0.3, 0.3 - 1.09]))


def test_bonds_that_break_in_the_data_are_not_watched_but_contacts_are() -> None:
    """Neighbours of a liquid metal part for good, whatever covalent radii say of them."""
    melt = rattled(bulk("Cu", cubic=True) * (2, 2, 2), frames=10, width=0.0)
    melt.positions[5:, 0] += 3.0
    contacts = Contacts()
    contacts.add(melt, 1000)
    assert contacts.longest_bond == {}
    assert contacts.closest["29-29"] == pytest.approx(images(melt)["29-29"])
    contacts.add(rattled(bulk("Cu", cubic=True), width=0.0), 1000)
    assert contacts.longest_bond == {}


def test_a_large_cluster_has_the_contacts_of_its_pairs_within_reach() -> None:
    cluster = bulk("Cu", cubic=True) * (3, 3, 3)
    cluster.pbc = False
    cluster.cell = np.zeros((3, 3))
    trajectory = rattled(cluster, frames=3)
    contacts = Contacts()
    contacts.add(trajectory, 1000)
    first, second = np.triu_indices(len(cluster), 1)
    lengths = np.linalg.norm(trajectory.positions[:, first] - trajectory.positions[:, second], axis=-1)
    assert contacts.closest == {"29-29": pytest.approx(lengths.min())}


def test_the_guards_of_a_crystal_hold_to_what_its_training_saw() -> None:
    """Covalent radii alone let silicon and carbon come within 0.94 Å; they never came closer than 1.7 Å."""
    atoms = bulk("SiC", "zincblende", a=4.36, cubic=True) * (2, 2, 2)
    card = Card(name="sic", model="any", species=[6, 14], t_max=10.0, cutoff=5.0, guards=guard_limits([rattled(atoms, width=0.02)]))
    state = State.from_atoms([atoms])
    guards = Guards(Limits.of(card, isolated=False), state, degrees_of_freedom(state, "momentum"), 300.0)
    mild = torch.full((1,), 300.0, dtype=torch.float64)
    assert guards.broken(state, mild) == {}

    def with_pair(distance: float) -> dict[int, str]:
        positions = state.positions.clone()
        arm = positions[1] - positions[0]
        positions[0] = positions[1] - arm * distance / arm.norm()
        return guards.broken(state.with_(positions=positions), mild)

    assert "overlap at 1.200 Å" in with_pair(1.2)[0]
    assert "broke" in with_pair(2.6)[0]
    assert with_pair(1.75) == {}
