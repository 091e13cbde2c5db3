r"""The reversible propagator: a half step composed with the adjoint of the other half step.

With F the forecast over h and R the reversal of velocities, the adjoint half step :math:`z' = F^*(z_h)` is defined by
:math:`F(R z') = R z_h`; then :math:`\Psi = F^* \circ F` satisfies :math:`\Psi R \Psi = R` exactly, whatever F is (Hairer,
Lubich and Wanner, Geometric Numerical Integration, section V.1). For :math:`y = R z'` the equation F(y) = w with
:math:`w = R z_h` is solved by fixed-point iteration with the almost exact inverse G = R F R:
:math:`y_0 = G(w) = R F(z_h)` and :math:`y_{k+1} = y_k + y_0 - G(F(y_k))`, two passes for each correction.
"""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster, Frames
from forcefree.simulation.propagators import check_interval, ending_at, flipped, tamed
from forcefree.state import State


class Reversible:
    """A time-reversible step of twice the half interval, without retraining the model.

    Args:
        model: A forecaster that needs one frame.
        half_interval: Length h of one forecast in fs; a step is 2 h long.
        corrections: Fixed-point corrections, at least one; a step takes 2 + 2 corrections passes.

    Raises:
        ForcefreeError: If the model has no forecast at h, needs a longer history, or no correction is asked for.
    """

    name = "reversible"

    def __init__(self, model: Forecaster, half_interval: float, corrections: int = 1) -> None:
        check_interval(model, half_interval)
        if corrections < 1:
            raise ForcefreeError(f"the reversible propagator needs at least 1 correction, not {corrections}; without any use direct")
        self.model = model
        self.half_interval = half_interval
        self.interval = 2.0 * half_interval
        self.corrections = corrections
        self.passes = 2 + 2 * corrections

    def describe(self) -> dict[str, object]:
        """Name, interval of a whole step (fs) and number of corrections."""
        return {"name": self.name, "interval": self.interval, "corrections": self.corrections}

    def most_times(self, frames: int) -> int:
        """Those of one half."""
        return (frames + 1) // 2

    def step(self, state: State) -> State:
        """The state one interval later."""
        return self.trace(state, torch.tensor([self.interval], dtype=torch.float64)).state(0, state)

    def trace(self, state: State, times: Tensor) -> Frames:
        """Frames of a step; arguments as :meth:`Propagator.trace`.

        The first half is decoded from the first pass. The second half is decoded backwards in time from the pass that
        starts at the last iterate but one, and shifted linearly so that it joins both ends exactly.
        """
        h = self.half_interval
        early = times[times <= h * (1.0 + 1e-9)].clamp(max=h)
        late = times[len(early) : -1]
        first = self.model.forecast((state,), ending_at(early, h))
        middle, lost = tamed(first.state(-1, state), state)
        candidate, gone = tamed(flipped(self.model.propagate(middle, h)), flipped(middle))
        lost = _either(lost, gone)
        iterate, backwards = candidate, None
        for correction in range(self.corrections):
            last = correction == self.corrections - 1
            asked = ending_at((2.0 * h - late).flip(0) if last else late[:0], h)
            backwards = self.model.forecast((iterate,), asked)
            ahead, gone = tamed(backwards.state(-1, iterate), iterate)
            lost = _either(lost, gone)
            returned, gone = tamed(flipped(self.model.propagate(flipped(ahead), h)), ahead)
            lost = _either(lost, gone)
            previous = iterate
            iterate = _plus(iterate, candidate, returned)
        assert backwards is not None
        inner = _joined(backwards, previous, iterate, flipped(middle), h)
        return _assembled(state, times, first, len(early), inner, flipped(iterate), lost)

    def residual(self, state: State) -> Tensor:
        """Root mean square over atoms of the positions in F(R z') - R F(z), which is zero for a reversible step.

        Args:
            state: State z at the start of a step that ends at z'.

        Returns:
            Å, shape (n_systems,).
        """
        forth = self.model.propagate(state, self.half_interval)
        back = self.model.propagate(flipped(self.step(state)), self.half_interval)
        square = state.sum((forth.positions - back.positions).square().sum(dim=-1))
        return (square / state.sizes).sqrt()


def _either(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return other if one is None else one if other is None else one | other


def _plus(iterate: State, candidate: State, returned: State) -> State:
    return iterate.with_(
        positions=iterate.positions + (candidate.positions - returned.positions),
        velocities=iterate.velocities + (candidate.velocities - returned.velocities),
    )


def _joined(backwards: Frames, previous: State, iterate: State, target: State, h: float) -> tuple[Tensor, Tensor]:
    """Frames of the second half in forward order, shifted to start at the middle and to end at the new state."""
    weight = (backwards.times[:, :1, None] / h).to(previous.positions)
    joined = []
    for frames, old, new, end in (
        (backwards.positions, previous.positions, iterate.positions, target.positions),
        (backwards.velocities, previous.velocities, iterate.velocities, target.velocities),
    ):
        shifted = frames + (1.0 - weight) * (new - old) + weight * (end - frames[-1])
        joined.append(shifted[:-1].flip(0))
    return joined[0], -joined[1]


def _assembled(
    state: State, times: Tensor, first: Frames, early: int, inner: tuple[Tensor, Tensor], end: State, lost: Tensor | None
) -> Frames:
    positions = torch.cat([first.positions[:early], inner[0], end.positions[None]])
    velocities = torch.cat([first.velocities[:early], inner[1], end.velocities[None]])
    if lost is not None:
        positions = torch.where(lost[:, None], torch.nan, positions)
        velocities = torch.where(lost[:, None], torch.nan, velocities)
    elapsed = times.to(state.positions)[:, None].expand(-1, state.n_systems)
    return Frames(times=elapsed, positions=positions, velocities=velocities)
