"""Lists of pairs in which every atom has as many, so that sums over neighbours are products of matrices."""

from __future__ import annotations

import torch

from forcefree.nn.pair_list import PairList

_MOST_EMPTY = 0.3
"""Empty places for each pair; where there would be more, filling them costs more than it saves."""


def even_pairs(pairs: PairList, n_atoms: int, cutoff: float, places: int | None = None) -> PairList:
    """The same pairs and, for every atom, so many of it with itself twice the cutoff away that all atoms have equally many.

    What is beyond the cutoff counts for nothing, and these stay there because an atom does not move against itself. Lists of
    very uneven neighbourhoods come back as they are, and so do all lists while a graph is compiled.

    Args:
        pairs: Of any number per atom.
        n_atoms: Receivers, those without pairs included.
        cutoff: Å.
        places: How many pairs each atom shall have, as many as the most crowded one has where that is not given. A list with more
            than that for an atom comes back as it is.
    """
    n_pairs = len(pairs.receiver)
    if pairs.degree or not n_pairs or torch.compiler.is_compiling():
        return pairs
    counts = torch.bincount(pairs.receiver, minlength=n_atoms)
    most = int(counts.max())
    degree = most if places is None else places
    if most > degree or (places is None and n_atoms * degree - n_pairs > _MOST_EMPTY * n_pairs):
        return pairs
    atoms = torch.arange(n_atoms, device=counts.device)
    rank = torch.arange(n_pairs, device=counts.device) - (counts.cumsum(0) - counts)[pairs.receiver]
    place = pairs.receiver * degree + rank
    receiver = atoms.repeat_interleave(degree)
    far = pairs.separations.new_tensor([2.0 * cutoff, 0.0, 0.0]).repeat(len(receiver), 1)
    return PairList(far.index_copy(0, place, pairs.separations), receiver, receiver.index_copy(0, place, pairs.sender), degree)
