"""Guards: what stops a replica that has left the world its model was trained in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from ase.data import chemical_symbols, covalent_radii
from scipy.stats import chi2
from torch import Tensor

from forcefree.models.card import Card
from forcefree.simulation.pairs import atom_pairs, close_pairs, displacements
from forcefree.state import State

CLOSEST_MARGIN = 0.75
"""A contact is an overlap below this fraction of the closest that training saw. Runs longer than the data see closer ones: hydrogens of
flexible water that came no nearer than 1.41 Å in the data of ``trajcast-water`` reach 1.22 Å in a rare collision, under true forces, so that
0.85 (1.19 Å) left a forecast of it no room for an error."""

LONGEST_MARGIN = 1.25
"""A bond is broken beyond this multiple of the longest that training saw."""

_DEFAULT_CLOSEST, _DEFAULT_LONGEST, _BONDED = 0.5, 1.7, 1.25
_IMPROBABLE = 1e-12
_ALL_PAIRS = 300_000


@dataclass(frozen=True)
class Limits:
    """The limits of one model.

    Attributes:
        closest: Å by pair of atomic numbers, smaller first, below which two atoms overlap.
        longest: Å by pair, beyond which a bond is broken; a pair without an entry is not watched.
        hottest: K, the highest mean temperature at which the model can be trusted, or None.
    """

    closest: dict[tuple[int, int], float]
    longest: dict[tuple[int, int], float]
    hottest: float | None

    @classmethod
    def of(cls, card: Card, *, isolated: bool) -> Limits:
        """Limits from what training saw; from covalent radii where the card does not say."""
        pairs = [(a, b) for a in sorted(card.species) for b in sorted(card.species) if a <= b]
        touching = {(a, b): float(covalent_radii[a] + covalent_radii[b]) for a, b in pairs}
        seen = {key: _by_pair(card.guards.get(key)) for key in ("closest", "longest_bond")}
        closest = {pair: _DEFAULT_CLOSEST * touching[pair] for pair in pairs}
        closest.update({pair: CLOSEST_MARGIN * value for pair, value in seen["closest"].items()})
        longest = {pair: LONGEST_MARGIN * value for pair, value in seen["longest_bond"].items()}
        if not longest and isolated:
            longest = {pair: _DEFAULT_LONGEST * touching[pair] for pair in pairs}
        hottest = card.guards.get("max_temperature", max(card.temperatures, default=None))
        return cls(closest, longest, None if hottest is None else float(hottest))


def _by_pair(values: object) -> dict[tuple[int, int], float]:
    pairs = {}
    for name, value in (values if isinstance(values, dict) else {}).items():
        first, second = sorted(int(number) for number in str(name).split("-"))
        pairs[first, second] = float(value)
    return pairs


class Guards:
    """Watch the systems of a batch.

    A kinetic temperature counts as runaway where a canonical system at the hottest allowed mean temperature would show
    it less than once in 10^12 looks.

    Args:
        limits: What the model has seen.
        start: The start structures; atoms closer than 1.25 times their covalent radii are bonded.
        freedom: Degrees of freedom of each system, shape (n_systems,).
        temperature: K of the simulation, where it has one; the limit never lies below what it calls for.
    """

    def __init__(self, limits: Limits, start: State, freedom: Tensor, temperature: float | None) -> None:
        self._start = start
        self._limits = limits
        self._dense = int((start.sizes**2).sum()) // 2 <= _ALL_PAIRS
        self._pairs, low, high = self._watched(start)
        self._low, self._high = low.square(), high.square()
        means = [value for value in (limits.hottest, temperature) if value is not None]
        count = freedom.cpu().numpy()
        factor = torch.as_tensor(np.asarray(chi2.isf(_IMPROBABLE, count) / count), device=freedom.device)
        self.hottest = factor * max(means) if means else torch.full_like(freedom, torch.inf)

    def broken(self, state: State, temperatures: Tensor) -> dict[int, str]:
        """Look at every system.

        Args:
            state: After a step.
            temperatures: Kinetic temperatures in K, shape (n_systems,).

        Returns:
            What is wrong with each system that must stop, as the end of a sentence; empty when all is well.
        """
        square = self._squares(state)
        fine = (square > self._low) & (square < self._high)
        mild = (temperatures < self.hottest) & (state.sum(state.positions).sum(dim=1).isfinite())
        overlaps = {} if self._dense else self._overlaps(state)
        if not overlaps and bool(fine.all() & mild.all()):
            return {}
        return {**overlaps, **self._reasons(state, square.sqrt(), fine, mild, temperatures)}

    def _squares(self, state: State) -> Tensor:
        return displacements(state, self._pairs).square().sum(dim=1)

    def _watched(self, start: State) -> tuple[Tensor, Tensor, Tensor]:
        radii = torch.as_tensor(covalent_radii, device=start.positions.device)[start.numbers]
        pairs = atom_pairs(start) if self._dense else close_pairs(start, _BONDED * 2.0 * float(radii.max()))
        lengths = displacements(start, pairs).norm(dim=1)
        bonded = lengths < _BONDED * (radii[pairs[0]] + radii[pairs[1]])
        low = self._table(start, pairs, self._limits.closest, 0.0)
        high = self._table(start, pairs, self._limits.longest, torch.inf)
        return pairs, low, torch.where(bonded, high, torch.inf)

    def _table(self, start: State, pairs: Tensor, values: dict[tuple[int, int], float], missing: float) -> Tensor:
        numbers = start.numbers[pairs]
        table = torch.full((119, 119), missing, dtype=torch.float64, device=numbers.device)
        for (a, b), value in values.items():
            table[a, b] = table[b, a] = value
        return table[numbers[0], numbers[1]]

    def _overlaps(self, state: State) -> dict[int, str]:
        """Overlaps of a batch that is too large to look at every pair."""
        reach = max(self._limits.closest.values(), default=0.0)
        found_again = torch.where(state.positions.isfinite(), state.positions, self._start.positions)  # neighbour lists take numbers only
        pairs = close_pairs(state.with_(positions=found_again), reach)
        distance = displacements(state, pairs).norm(dim=1)
        low = self._table(state, pairs, self._limits.closest, 0.0)
        found: dict[int, str] = {}
        for index in (distance <= low).nonzero()[:, 0].tolist():
            found.setdefault(
                int(state.system[pairs[0, index]]), self._contact(state, pairs[:, index], float(distance[index]), float(low[index]))
            )
        return found

    def _reasons(self, state: State, distance: Tensor, fine: Tensor, mild: Tensor, temperatures: Tensor) -> dict[int, str]:
        reasons: dict[int, str] = {}
        for system in (~mild).nonzero()[:, 0].tolist():
            value = float(temperatures[system])
            if np.isfinite(value) and value >= float(self.hottest[system]):
                reasons[system] = f"its kinetic temperature of {value:.0f} K ran away beyond {float(self.hottest[system]):.0f} K"
            else:
                reasons[system] = "a position or velocity is not a finite number"
        for index in (~fine).nonzero()[:, 0].tolist():
            system = int(state.system[self._pairs[0, index]])
            if system in reasons:
                continue
            value, low = float(distance[index]), float(self._low[index].sqrt())
            if value <= low:
                reasons[system] = self._contact(state, self._pairs[:, index], value, low)
            else:
                longest = float(self._high[index].sqrt())
                reasons[system] = f"the bond {_atoms(state, self._pairs[:, index])} broke at {value:.3f} Å, beyond {longest:.3f} Å"
        return reasons

    def _contact(self, state: State, pair: Tensor, value: float, limit: float) -> str:
        return f"atoms {_atoms(state, pair)} overlap at {value:.3f} Å, closer than {limit:.3f} Å"


def _atoms(state: State, pair: Tensor) -> str:
    """Element and index inside its own system of both atoms, such as C0-H5."""
    names = []
    for atom in pair.tolist():
        first = int((state.system == state.system[atom]).nonzero()[0, 0])
        names.append(f"{chemical_symbols[int(state.numbers[atom])]}{atom - first}")
    return "-".join(names)
