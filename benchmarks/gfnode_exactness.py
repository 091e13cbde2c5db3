"""Residuals in float64 of GF-NODE on benzene, whose bond graph has degenerate modes; random weights.

For both kinds of dynamics of the network, and about a reference, whose 24 ways to lie on benzene are averaged.
"""

from __future__ import annotations

import argparse
from unittest import mock

import numpy as np
import torch
from ase.build import molecule
from rows import Table
from torch import Tensor

from forcefree.models.card import Card
from forcefree.models.gfnode import GfNode
from forcefree.state import State

TIMES = torch.tensor([3.0, 41.0, 250.0, 999.0], dtype=torch.float64)
LIMIT = 1e-10
COPIES = 8
EIGH = torch.linalg.eigh
PUCKER = np.array([1.0, -1.0] * 6)[:, None]


def moving() -> State:
    """Benzene at thermal speeds."""
    state = State.from_atoms([molecule("C6H6")] * COPIES)
    noise = torch.randn(state.n_atoms, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return state.with_(velocities=0.05 * noise / state.masses.sqrt()[:, None])


def other_choice(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvectors with other signs, and turned inside every degenerate space."""
    values, vectors = EIGH(matrix)
    choice = torch.eye(values.shape[1], dtype=values.dtype).repeat(len(values), 1, 1)
    for system, row in enumerate(values):
        start = 0
        for stop in [*(1 + (row.diff() > 1e-6).nonzero()[:, 0]).tolist(), len(row)]:
            block = torch.randn(stop - start, stop - start, generator=torch.Generator().manual_seed(stop), dtype=values.dtype)
            choice[system, start:stop, start:stop] = torch.linalg.qr(block)[0]
            start = stop
    return values, vectors @ choice


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    table = Table("gfnode_exactness")
    state = moving()
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64))[0]
    benzene = molecule("C6H6")
    shape = {"numbers": benzene.numbers.tolist(), "positions": benzene.positions.tolist()}
    puckered = shape | {"positions": (benzene.positions + [0.0, 0.0, 0.25] * (benzene.numbers[:, None] == 6) * PUCKER).tolist()}
    variants = {
        "oscillator": {"ode": "oscillator"},
        "learned": {"ode": "learned"},
        "about a reference": {"reference": shape},
        "about two conformers": {"reference": shape, "conformers": [puckered]},
    }
    for ode, options in variants.items():
        torch.manual_seed(0)
        card = Card(name="random", model="gfnode", options=options, species=[1, 6], t_max=1000.0, cutoff=6.0)
        model = GfNode(card).double().eval()

        def forecast(begin: State, times: Tensor = TIMES, model: GfNode = model) -> tuple[Tensor, Tensor]:
            with torch.inference_mode():
                frames = model.forecast((begin,), times)
            return frames.positions, frames.velocities

        def residual(name: str, found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor], ode: str = ode) -> None:
            worst = max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))
            table.add(f"GF-NODE, {ode}: {name}", worst, "Å or Å/fs", at_most=LIMIT, seeds=COPIES)

        positions, velocities = forecast(state)
        turned = forecast(state.with_(positions=state.positions @ turn + 30.0, velocities=state.velocities @ turn))
        residual("rotation, reflection and translation", turned, (positions @ turn + 30.0, velocities @ turn))
        order = torch.cat([torch.randperm(12, generator=torch.Generator().manual_seed(k)) + 12 * k for k in range(COPIES)])
        names = ("positions", "velocities", "numbers", "masses")
        relabelled = forecast(state.with_(**{name: getattr(state, name)[order] for name in names}))
        residual("relabelling", relabelled, (positions[:, order], velocities[:, order]))
        with mock.patch("torch.linalg.eigh", other_choice):
            residual("signs and choice of degenerate modes", forecast(state), (positions, velocities))
        alone = [forecast(state, TIMES[k : k + 1]) for k in range(len(TIMES))]
        residual("other times asked for", tuple(torch.cat(parts) for parts in zip(*alone, strict=True)), (positions, velocities))
        single = forecast(state.select(torch.arange(COPIES) == 5))
        residual("batch independence", single, (positions[:, 60:72], velocities[:, 60:72]))
    table.save()


if __name__ == "__main__":
    main()
