"""Which atom of a molecule stands for which atom of a reference structure: every way that keeps elements and bonds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.state import State

MOST_SYMMETRIES = 64
"""Ways to renumber a reference without a change of its graph that are followed; benzene with all atoms has 12."""
_MOST_PARTIAL = 1024
_MOST_KNOWN = 256

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Branches:
    """Ways to lay a reference on the molecules of a batch.

    Attributes:
        atoms: Atom that stands for each atom of the reference, shape (n_branches, n_reference).
        system: Which molecule, shape (n_branches,).
        handedness: 1 as given, -1 mirrored, shape (n_branches,).
    """

    atoms: Tensor
    system: Tensor
    handedness: Tensor


class Matcher:
    """Finds the branches of a batch, and keeps them while its bonds stay the same.

    A branch that lays two unbonded atoms of the reference on a whole bond has no share in any forecast and is left out. A molecule
    that still fits in more than a thousand ways has collapsed; it is treated as one that is not the reference.

    Args:
        numbers: Atomic numbers of the reference, shape (n_reference,).
        bonded: Its bonds, symmetric, shape (n_reference, n_reference).

    Raises:
        ForcefreeError: If the reference falls apart, or has too many symmetries.
    """

    def __init__(self, numbers: Indices, bonded: NDArray[np.bool_]) -> None:
        self._numbers, self._bonded = numbers, bonded
        self._order = _connected_order(bonded)
        self._known: dict[bytes, Indices] = {}
        itself = self._matches(numbers, bonded, bonded)
        if not 0 < len(itself) <= MOST_SYMMETRIES:
            symmetries = len(itself) or f"over {_MOST_PARTIAL}"
            raise ForcefreeError(
                f"the reference of this model can be renumbered in {symmetries} ways, more than the {MOST_SYMMETRIES} that are followed; "
                "leave out its hydrogens, or the reference"
            )
        self._last: tuple[State, Tensor, Branches] | None = None

    def __call__(self, state: State, weights: Tensor) -> Branches:
        """All branches of a batch; none of systems that are periodic, of other atoms, or without the reference's bonds.

        Args:
            state: Systems.
            weights: Of the bonds, 0 to 1, padded, shape (n_systems, n_most, n_most).
        """
        bonds = torch.stack([weights.detach() > 0.0, weights.detach() >= 1.0])
        if self._last is not None:
            origin, same, branches = self._last
            if bonds.shape == same.shape and torch.equal(bonds, same) and _alike(state, origin):
                return branches
        with torch.inference_mode(False):
            branches = self._search(state, bonds.cpu().numpy())
            self._last = (state, bonds.clone(), branches)
        return branches

    def _search(self, state: State, bonds: NDArray[np.bool_]) -> Branches:
        """Branches by which bonds there are at all and which are whole, shape (2, n_systems, n_most, n_most)."""
        numbers, sizes, isolated = state.numbers.cpu().numpy(), state.sizes.tolist(), state.isolated.tolist()
        atoms, systems, first = [np.empty((0, len(self._numbers)), dtype=np.int64)], [], 0
        for system, size in enumerate(sizes):
            if size == len(self._numbers) and isolated[system]:
                found = self._matches(numbers[first : first + size], *bonds[:, system, :size, :size])
                atoms.append(found + first)
                systems += [system] * len(found)
            first += size
        device = state.numbers.device
        chosen, owner = torch.from_numpy(np.concatenate(atoms)).to(device), torch.tensor(systems, dtype=torch.int64, device=device)
        hands = torch.ones(len(owner), dtype=torch.float64, device=device)
        return Branches(chosen.repeat(2, 1), owner.repeat(2), torch.cat([hands, -hands]))

    def _matches(self, numbers: Indices, bonds: NDArray[np.bool_], whole: NDArray[np.bool_]) -> Indices:
        """Maps from the reference onto atoms that keep elements and bonds, shape (n_maps, n_reference); none where there are too many.

        Args:
            numbers: Atomic numbers, shape (n_reference,).
            bonds: Which pairs can be bonds of the reference, shape (n_reference, n_reference).
            whole: Which pairs can be nothing else, the same shape.
        """
        key = numbers.tobytes() + bonds.tobytes() + whole.tobytes()
        if key not in self._known:
            partial = [{}] if np.array_equal(np.sort(numbers), np.sort(self._numbers)) else []  # type: list[dict[int, int]]
            for atom in self._order:
                images = np.flatnonzero(numbers == self._numbers[atom]).tolist()
                own = self._bonded[atom]
                partial = [
                    {**taken, atom: image}
                    for taken in partial
                    for image in images
                    if image not in taken.values()
                    and all(bonds[image, there] if own[other] else not whole[image, there] for other, there in taken.items())
                ]
                if len(partial) > _MOST_PARTIAL:
                    partial = []
            rows = [[taken[atom] for atom in range(len(self._numbers))] for taken in partial]
            if len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[key] = np.array(rows, dtype=np.int64).reshape(-1, len(self._numbers))
        return self._known[key]


def intact(branches: Branches, weights: Tensor, bonded: Tensor) -> Tensor:
    """How far the bonds of each branch are those of the reference: 1, smoothly 0 where one breaks or another forms.

    Args:
        branches: Ways to lay the reference.
        weights: Of the bonds, padded, shape (n_systems, n_most, n_most).
        bonded: Bonds of the reference, shape (n_reference, n_reference).

    Returns:
        Shape (n_branches,).
    """
    first = torch.zeros(len(weights), dtype=torch.int64, device=weights.device)
    first = first.scatter_reduce(0, branches.system, branches.atoms.amin(dim=1), "amin", include_self=False)
    local = branches.atoms - first[branches.system, None]
    own = weights[branches.system[:, None, None], local[:, :, None], local[:, None]]
    agreeing = torch.where(bonded, own, 1.0 - own)
    rows, columns = torch.triu_indices(len(bonded), len(bonded), 1, device=weights.device)
    product: Tensor = agreeing[:, rows, columns].prod(dim=1)
    return product


def _alike(state: State, other: State) -> bool:
    if state.numbers is other.numbers and state.system is other.system and state.pbc is other.pbc:
        return True
    fields = ("numbers", "system", "pbc")
    return state.n_atoms == other.n_atoms and all(torch.equal(getattr(state, name), getattr(other, name)) for name in fields)


def _connected_order(bonded: NDArray[np.bool_]) -> list[int]:
    """The atoms in an order in which each is bonded to an earlier one.

    Raises:
        ForcefreeError: If there is none.
    """
    order = [0]
    for atom in order:
        order += [other for other in np.flatnonzero(bonded[atom]).tolist() if other not in order]
    if len(order) < len(bonded):
        raise ForcefreeError("the reference of this model is not one molecule: its bonds do not connect all its atoms")
    return order
