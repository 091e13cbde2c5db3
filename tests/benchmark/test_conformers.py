"""Clusters of structures modulo everything that does not make another molecule."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms

from forcefree.benchmark.conformers import conformers_of
from forcefree.state import State

CHAIN = np.array([[-0.5, 1.0, 0.0], [0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [2.0, 1.0, 0.0]])
TORSIONS = (20.0, 90.0, 160.0)


def chain(torsion: float) -> Atoms:
    """O-C-C-O, which looks the same from both ends."""
    atoms = Atoms("OCCO", positions=CHAIN)
    atoms.set_dihedral(0, 1, 2, 3, torsion, indices=[3])
    return atoms


def scattered(torsions: tuple[float, ...], copies: int) -> State:
    """Noisy copies in any orientation, of either hand, and named from either end."""
    rng = np.random.default_rng(0)
    found = []
    for index in range(copies * len(torsions)):
        atoms = chain(torsions[index % len(torsions)] * rng.choice([-1.0, 1.0]))
        if rng.random() < 0.5:
            atoms = atoms[[3, 2, 1, 0]]
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        atoms.positions = (atoms.positions + rng.normal(0.0, 0.03, (4, 3))) @ turn + rng.normal(0.0, 5.0, 3)
        found.append(atoms)
    return State.from_atoms(found)


def test_every_conformer_is_found_once_whatever_its_hand_and_the_names_of_its_atoms() -> None:
    state = scattered(TORSIONS, 60)
    shapes = conformers_of(np.array([8, 6, 6, 8]), state, 3)
    ends = sorted(float((shape[3] - shape[0]).norm()) for shape in shapes)
    expected = sorted(chain(torsion).get_distance(0, 3) for torsion in TORSIONS)
    np.testing.assert_allclose(ends, expected, atol=0.03)


def test_one_cluster_of_one_shape_is_that_shape() -> None:
    (shape,) = conformers_of(np.array([8, 6, 6, 8]), scattered((90.0,), 200), 1)
    distances = torch.cdist(shape, shape)
    np.testing.assert_allclose(distances.numpy(), chain(90.0).get_all_distances(), atol=0.04)
