"""From any equivariant path through time to departures from free flight that vanish at t = 0, with consistent velocities."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from forcefree.graph import Pairs, sum_by_receiver
from forcefree.nn.bases import envelope

_MEMORY = 10.0  # fs, for which an atom in a molecule keeps its velocity, before training; a stretching bond turns round in as much

_positions_alone: ContextVar[bool] = ContextVar("positions_alone", default=False)


class Flight(nn.Module):
    r"""Complete a path :math:`r(t)` so that position and velocity start where they are.

    .. math:: x(t) = x_0 + s(t) v_0 + r(t) - r(0) - s(t) \dot r(0), \quad s(t) = \tau \sqrt{\pi/2}\, \mathrm{erf}(t / \sqrt 2 \tau)

    The velocity is the exact time derivative, by forward-mode differentiation. Over many periods of a vibration free
    flight is no start for a forecast, so the velocity is remembered for a time :math:`\tau` that is learned per element;
    :math:`s` departs from :math:`t` in third order only, as dynamics that can run backwards must.

    Args:
        n_species: Elements that the model knows.
    """

    def __init__(self, n_species: int) -> None:
        super().__init__()
        self.log_memory = nn.Parameter(torch.full((n_species,), math.log(_MEMORY)))

    def forward(
        self,
        path: Callable[[Tensor], Tensor],
        times: Tensor,
        velocities: Tensor,
        species: Tensor,
        system: Tensor,
        participation: Tensor,
        *,
        resting: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Departures from free flight.

        Args:
            path: From times (n_times, n_systems) in fs to displacements (n_times, n_atoms, 3) in Å.
            times: fs, shape (n_times, n_systems).
            velocities: Å/fs, shape (n_atoms, 3).
            species: Index of each atom's element, shape (n_atoms,).
            system: Index of each atom's system, shape (n_atoms,).
            participation: 1 for an atom in company, 0 for an isolated one, which never forgets its velocity, shape (n_atoms,).
            resting: The path is known to begin at zero without velocity, and is not asked.

        Returns:
            Å and Å/fs, each of shape (n_times, n_atoms, 3).
        """
        times = times.contiguous()
        start, slope = (torch.zeros_like(velocities),) * 2 if resting else _with_rates(path, torch.zeros_like(times[:1]))
        positions, rates = (path(times), None) if _positions_alone.get() else _with_rates(path, times)
        elapsed = times[:, system, None]
        rate = (participation / self.log_memory.exp()[species]).clamp_min(1e-9)[:, None]
        remembered = math.sqrt(0.5 * math.pi) / rate * torch.erf(math.sqrt(0.5) * rate * elapsed)
        fading = torch.exp(-0.5 * (rate * elapsed).square())
        missing = velocities - slope
        moved = remembered * missing + positions - start - elapsed * velocities
        if rates is None:
            return moved, torch.full_like(moved, torch.nan)
        return moved, fading * missing + rates - velocities


@contextmanager
def positions_alone() -> Iterator[None]:
    """Inside, no velocities are derived from paths, which takes half of the time; those that are returned are not numbers."""
    token = _positions_alone.set(True)
    try:
        yield
    finally:
        _positions_alone.reset(token)


def _with_rates(path: Callable[[Tensor], Tensor], times: Tensor) -> tuple[Tensor, Tensor]:
    """Values of a path and their time derivatives."""
    both: tuple[Tensor, Tensor] = torch.func.jvp(path, (times,), (torch.ones_like(times),))  # type: ignore[assignment]
    return both


def in_company(distances: Tensor, cutoff: float, pairs: Pairs, n_atoms: int) -> Tensor:
    """1 for every atom of a molecule, smoothly 0 for an atom with no other inside the cutoff.

    Args:
        distances: Å, shape (n_pairs,).
        cutoff: Å.
        pairs: Who is whose neighbour.
        n_atoms: Number of atoms.

    Returns:
        Shape (n_atoms,); 1 as soon as the envelopes of the neighbours add up to one half.
    """
    x = (2.0 * sum_by_receiver(envelope(distances, cutoff), pairs.receiver, n_atoms, pairs.degree)).clamp(max=1.0)
    return x**3 * (10.0 - 15.0 * x + 6.0 * x * x)
