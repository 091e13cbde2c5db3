"""Random numbers as a pure function of seed, replica, purpose and step.

A replica's numbers never depend on who shares its batch, on when the run was interrupted, or on how many were drawn
before. Each (seed, replica, purpose) keys a Philox generator (Salmon et al., SC'11, "Parallel random numbers: as easy
as 1, 2, 3") whose counter is the step; distributions come from single uniforms by their exact quantile functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtri
from torch import Tensor

from forcefree.errors import ForcefreeError

_WORDS = 4
_BLOCK_NUMBERS = 1 << 17
_LONGEST_BLOCK = 256
_WORD_BITS, _PURPOSE_BITS = 64, 8


class Purpose(IntEnum):
    """What random numbers are for; each purpose has numbers of its own."""

    VELOCITIES = 0
    CSVR = 1
    LANGEVIN_BEFORE = 2
    LANGEVIN_AFTER = 3
    CSVR_ELEMENTS = 4


class Streams:
    """Random numbers for the replicas of a batch.

    Numbers of neighbouring steps are made together and kept until the steps have passed, which makes a step cheap
    without changing any number.

    Args:
        seed: Of the whole simulation, from 0 to 2^64 - 1.
        replicas: Global number of each system of the batch, from 0 to 2^56 - 1.

    Raises:
        ForcefreeError: If the seed or the number of a replica is negative or too large.
    """

    def __init__(self, seed: int, replicas: Sequence[int]) -> None:
        if not 0 <= seed < 1 << _WORD_BITS:
            raise ForcefreeError(f"a seed is a whole number from 0 to 2^64 - 1, not {seed}")
        self.seed = seed
        self.replicas = tuple(replicas)
        for replica in self.replicas:
            if not 0 <= replica < 1 << _WORD_BITS - _PURPOSE_BITS:
                raise ForcefreeError(f"replicas are numbered from 0 to 2^{_WORD_BITS - _PURPOSE_BITS} - 1, so none is {replica}")
        self._blocks: dict[Purpose, tuple[int, tuple[int, ...], NDArray[np.float64]]] = {}

    def uniforms(self, purpose: Purpose, step: int, counts: Sequence[int]) -> NDArray[np.float64]:
        """Uniform numbers strictly between 0 and 1.

        Args:
            purpose: What they are for.
            step: Step of the simulation, from 0.
            counts: Numbers wanted by each replica; the same at every step.

        Returns:
            Shape (sum of counts,), replica after replica.
        """
        wanted = tuple(counts)
        length = max(1, min(_LONGEST_BLOCK, _BLOCK_NUMBERS // max(1, sum(wanted))))
        first = step - step % length
        block = self._blocks.get(purpose)
        if block is None or block[0] != first or block[1] != wanted:
            parts = [self._replica_block(purpose, replica, first, length, n) for replica, n in zip(self.replicas, wanted, strict=True)]
            block = (first, wanted, np.concatenate(parts, axis=1))
            self._blocks[purpose] = block
        drawn: NDArray[np.float64] = block[2][step - first]
        return drawn

    def normals(self, purpose: Purpose, step: int, counts: Sequence[int]) -> Tensor:
        """Standard normal numbers, float64, shape (sum of counts,); arguments as :meth:`uniforms`."""
        return torch.from_numpy(ndtri(self.uniforms(purpose, step, counts)))

    def normals_and_chi_squares(
        self, purpose: Purpose, step: int, freedom: NDArray[np.float64], counts: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """One standard normal and one chi-square number for each replica, or several.

        Args:
            purpose: What they are for.
            step: Step of the simulation.
            freedom: Degrees of freedom of the chi-square distributions, not negative, replica after replica, shape (sum of counts,).
            counts: Pairs of numbers for each replica, the same at every step; one each when not given.

        Returns:
            Two float64 tensors of shape (sum of counts,); a chi-square number without freedom is 0.
        """
        both = self.uniforms(purpose, step, tuple(2 * count for count in counts or (1,) * len(self.replicas))).reshape(-1, 2)
        quantiles = 2.0 * gammaincinv(np.maximum(freedom, 1e-300) / 2.0, both[:, 1])
        return torch.from_numpy(ndtri(both[:, 0])), torch.from_numpy(np.where(freedom > 0.0, quantiles, 0.0))

    def _replica_block(self, purpose: Purpose, replica: int, first: int, length: int, count: int) -> NDArray[np.float64]:
        words = -(-count // _WORDS)
        key = np.array([self.seed, (replica << _PURPOSE_BITS) + purpose], dtype=np.uint64)
        counter = np.array([first * words, 0, 0, 0], dtype=np.uint64)
        raw = np.random.Philox(key=key, counter=counter).random_raw(length * words * _WORDS)
        chosen = np.asarray(raw).reshape(length, words * _WORDS)[:, :count]
        uniform: NDArray[np.float64] = ((chosen >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return uniform
