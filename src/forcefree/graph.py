"""Neighbour lists: all pairs for small molecules, vesin's cell list for everything else, reused inside a Verlet skin."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from vesin import NeighborList

from forcefree.errors import ForcefreeError
from forcefree.state import State

LARGEST_ALL_PAIRS = 48
"""Isolated systems up to this many atoms keep all their pairs, for good; the envelope silences the distant ones."""

DEFAULT_SKIN = 1.0
"""Å; an atom may move by half of it before pairs are searched for again."""


@dataclass(frozen=True)
class Pairs:
    """Directed pairs sorted by receiver.

    Attributes:
        receiver: Atom that a message goes to, non-decreasing, shape (n_pairs,).
        sender: Atom that it comes from, shape (n_pairs,).
        shift: Cell shift of the sender in units of the cell vectors, shape (n_pairs, 3), or None without periodicity.
        degree: Number of pairs of every receiver, where all have the same, otherwise 0.
    """

    receiver: Tensor
    sender: Tensor
    shift: Tensor | None
    degree: int

    def vectors(self, state: State, positions: Tensor) -> Tensor:
        """Vectors from receiver to sender.

        Args:
            state: Cells and systems.
            positions: Å, shape (n_atoms, 3).

        Returns:
            Å, shape (n_pairs, 3), in the precision of ``positions``.
        """
        vectors = positions[self.sender] - positions[self.receiver]
        if self.shift is None:
            return vectors
        cells = state.cell.to(positions)
        if state.n_systems > 1:
            cells = cells[state.system[self.receiver]]
        for axis in range(3):  # row by row, so that a pair gets the same image, to the last bit, whoever shares the batch
            vectors.addcmul_(self.shift[:, axis, None].to(positions), cells[:, axis])
        return vectors

    def within(self, cutoff: float, state: State) -> Pairs:
        """Those of the pairs that are nearer than ``cutoff`` (Å) in ``state``."""
        square = self.vectors(state, state.positions.detach()).square().sum(dim=-1)
        near = (square < cutoff * cutoff).nonzero()[:, 0]
        shift = None if self.shift is None else self.shift[near]
        return Pairs(self.receiver[near], self.sender[near], shift, degree=0)


def sum_by_receiver(messages: Tensor, receiver: Tensor, n_atoms: int, degree: int) -> Tensor:
    """Sum messages (n_pairs, ...) over the pairs of each receiver, to shape (n_atoms, ...)."""
    if degree:
        return messages.view(n_atoms, degree, *messages.shape[1:]).sum(dim=1)
    total = messages.new_zeros(n_atoms, *messages.shape[1:])
    return total.index_add(0, receiver, messages)


def at_atoms(values: Tensor, index: Tensor, dim: int = 0) -> Tensor:
    """Values of the atoms ``index`` along a dimension; on a GPU in the form whose gradient does not sort the indices first."""
    if values.is_cuda:
        return values.index_select(dim, index)
    return values[index] if dim == 0 else values[:, index]


class Neighbours:
    """The pairs of a state within a cutoff, found among those kept from an earlier state until an atom has moved by half the skin.

    What a state gets depends on that state alone, to the last bit: pairs beyond the cutoff are left out and the others
    have one order, whichever state the list was made for. The skin reaches as far in a small cell as in a large one,
    because every image is a pair of its own. While gradients are recorded, which is while a model is trained on states
    that have nothing to do with one another, there is no skin.

    Args:
        cutoff: Å.
        skin: Extra distance in Å within which pairs are kept ready; zero finds them anew for every state.

    Attributes:
        searches: How many times pairs were searched for.

    Raises:
        ForcefreeError: If the cutoff is not positive or the skin is negative.
    """

    def __init__(self, cutoff: float, skin: float = DEFAULT_SKIN) -> None:
        if not cutoff > 0.0:
            raise ForcefreeError(f"a cutoff must be positive, not {cutoff:g} Å")
        if not skin >= 0.0:
            raise ForcefreeError(f"a skin must not be negative, as {skin:g} Å is")
        self.cutoff, self.skin = cutoff, skin
        self.searches = 0
        self._pairs: Pairs | None = None
        self._origin: State | None = None
        self._reach = cutoff
        self._all = False

    def __call__(self, state: State, reach: float = 0.0) -> Pairs:
        """Pairs of ``state``: all of a small isolated molecule, else those within the cutoff.

        While a graph is compiled the pairs are constants: those found last.

        Args:
            state: One or more systems.
            reach: Extra distance in Å, for atoms that were or will be nearer in another frame; where it is not zero, only
                lists of all pairs are kept.
        """
        if self._pairs is not None and torch.compiler.is_compiling():
            return self._pairs
        if reach and not keeps_all_pairs(state):
            return find_pairs(state, self.cutoff + reach)
        if self._pairs is None or self._origin is None or not self._still_valid(state, self._origin):
            self._reach = self.cutoff if torch.is_grad_enabled() else self.cutoff + self.skin
            self._pairs = find_pairs(state, self._reach)
            self._origin = state.with_(positions=state.positions.detach())
            self._all = keeps_all_pairs(state)
            self.searches += 1
        return self._pairs if self._all else self._pairs.within(self.cutoff, state)

    def _still_valid(self, state: State, origin: State) -> bool:
        if self._pairs is not None and self._pairs.receiver.is_inference() and not torch.is_inference_mode_enabled():
            return False
        if self._all and state.system is origin.system and state.pbc is origin.pbc:
            return True
        if state.n_atoms != origin.n_atoms or not torch.equal(state.system, origin.system) or not torch.equal(state.pbc, origin.pbc):
            return False
        if keeps_all_pairs(state):
            return True
        if not torch.equal(state.cell, origin.cell):
            return False
        moved = (state.positions - origin.positions).square().sum(dim=-1).max()
        return self._reach > self.cutoff and bool(moved <= (0.5 * (self._reach - self.cutoff)) ** 2)


def find_pairs(state: State, cutoff: float) -> Pairs:
    """All directed pairs within ``cutoff``, every periodic image counted, none of an atom with itself in the same cell.

    Args:
        state: One or more systems.
        cutoff: Å.
    """
    if keeps_all_pairs(state):
        return _all_pairs(state)
    found = []
    offset = 0
    for index, size in enumerate(state.sizes.tolist()):
        receiver, sender, shift = _cell_list(state, index, offset, size, cutoff)
        found.append((receiver + offset, sender + offset, shift))
        offset += size
    receiver, sender, shift = (torch.cat(column) for column in zip(*found, strict=True))
    order = _canonical_order(receiver, sender, shift)
    shifts = shift[order] if bool(state.pbc.any()) else None
    return Pairs(receiver[order].to(state.system.device), sender[order].to(state.system.device), shifts, degree=0)


def _canonical_order(receiver: Tensor, sender: Tensor, shift: Tensor) -> Tensor:
    """Order by receiver, sender and image, so that sums over pairs come out alike whatever state the pairs were found for."""
    if not len(receiver):
        return receiver
    low, high = shift.amin(dim=0), shift.amax(dim=0)
    key = receiver * (int(sender.max()) + 1) + sender
    for axis in range(3):
        key = key * (high[axis] - low[axis] + 1) + shift[:, axis] - low[axis]
    return torch.argsort(key)


def keeps_all_pairs(state: State) -> bool:
    """Whether a batch is so small and isolated that every pair of atoms is kept for good."""
    return bool(state.isolated.all()) and int(state.sizes.max()) <= LARGEST_ALL_PAIRS


def _all_pairs(state: State) -> Pairs:
    sizes = state.sizes
    starts = torch.cumsum(sizes, 0) - sizes
    degree = (sizes - 1)[state.system]
    receiver = torch.repeat_interleave(torch.arange(state.n_atoms, device=sizes.device), degree)
    first = torch.cumsum(degree, 0) - degree
    rank = torch.arange(len(receiver), device=sizes.device) - first[receiver]
    own = (torch.arange(state.n_atoms, device=sizes.device) - starts[state.system])[receiver]
    sender = starts[state.system[receiver]] + rank + (rank >= own).to(rank.dtype)
    uniform = bool((sizes == sizes[0]).all())
    return Pairs(receiver, sender, None, degree=int(sizes[0]) - 1 if uniform else 0)


def _cell_list(state: State, index: int, offset: int, size: int, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    atoms = slice(offset, offset + size)
    pbc = state.pbc[index].cpu().numpy()
    if not bool(state.positions[atoms].isfinite().all()):  # lost already; a guard stops it, its batch-mates go on
        none = torch.empty(0, dtype=torch.int64, device=state.system.device)
        return none, none, none.view(0, 3)
    search = NeighborList(cutoff=cutoff, full_list=True)
    points, box = state.positions[atoms].detach(), state.cell[index]
    if points.is_cuda:
        try:
            found = search.compute(points=points, box=box, periodic=state.pbc[index], quantities="ijS")
            return tuple(torch.as_tensor(column).to(torch.int64) for column in found)  # type: ignore[return-value]
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:  # too many pairs for its buffers, or no run-time compiler beside this driver
            warnings.warn(f"vesin cannot search on this GPU ({error}); pairs are found on the processor, which is slower", stacklevel=2)
    found = search.compute(points=points.cpu().numpy(), box=box.cpu().numpy(), periodic=pbc, quantities="ijS")
    receiver, sender, shifts = (torch.from_numpy(column.astype("int64")).to(points.device) for column in found)
    return receiver, sender, shifts
