"""Residuals in float64 of what must hold exactly, of the bundled model on thermal ethanol."""

from __future__ import annotations

import argparse

import torch
from rows import Table
from starts import reference_starts
from torch import Tensor

from forcefree.models.files import load
from forcefree.nn.conservation import angular_momentum
from forcefree.state import State

TIMES = torch.tensor([0.0, 5.0, 10.0], dtype=torch.float64)
LIMIT = 1e-10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="trajcast-ethanol")
    arguments = parser.parse_args()
    model = load(arguments.model).double()
    table = Table("exactness")
    state = State.from_atoms(reference_starts(16))
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]

    def forecast(begin: State) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            frames = model.forecast((begin,), TIMES)
        return frames.positions, frames.velocities

    def residual(name: str, *pairs: tuple[Tensor, Tensor]) -> None:
        worst = max(float((found - expected).abs().max()) for found, expected in pairs)
        table.add(name, worst, "Å or Å/fs", at_most=LIMIT, seeds=16)

    positions, velocities = forecast(state)
    for sign, name in ((1.0, "rotation"), (-1.0, "rotation and reflection")):
        turn = rotation * torch.linalg.det(rotation) * sign
        turned = forecast(state.with_(positions=state.positions @ turn, velocities=state.velocities @ turn))
        residual(name, (turned[0], positions @ turn), (turned[1], velocities @ turn))
    shift = torch.tensor([7.0, -3.0, 11.0], dtype=torch.float64)
    moved = forecast(state.with_(positions=state.positions + shift))
    residual("translation", (moved[0], positions + shift), (moved[1], velocities))
    order = torch.cat([torch.randperm(9, generator=torch.Generator().manual_seed(k)) + 9 * k for k in range(16)])
    names = ("positions", "velocities", "numbers", "masses")
    permuted = forecast(state.with_(**{name: getattr(state, name)[order] for name in names}))
    residual("permutation", (permuted[0], positions[:, order]), (permuted[1], velocities[:, order]))
    boost = 0.1 * shift
    boosted = forecast(state.with_(velocities=state.velocities + boost))
    residual("Galilean boost", (boosted[0], positions + TIMES[:, None, None] * boost), (boosted[1], velocities + boost))
    residual("initial condition", (positions[0], state.positions), (velocities[0], state.velocities))
    before = state.sum(state.masses[:, None] * state.velocities)
    residual("linear momentum, amu Å/fs", *((state.sum(state.masses[:, None] * v), before) for v in velocities))
    turning = angular_momentum(state, positions, velocities)
    residual("angular momentum, amu Å^2/fs", (turning, turning[:1].expand_as(turning)))
    single = forecast(state.select(torch.arange(16) == 5))
    residual("batch independence", (single[0], positions[:, 45:54]), (single[1], velocities[:, 45:54]))
    table.save()


if __name__ == "__main__":
    main()
