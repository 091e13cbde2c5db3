"""The models of the MD17 table: GF-NODE, its ablations, and the baselines, at matched numbers of parameters."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from forcefree.benchmark.md17_loss import Judged
from forcefree.errors import ForcefreeError


@dataclass(frozen=True)
class TableModel:
    """One model of the table.

    Attributes:
        architecture: Registered name.
        options: Of the architecture.
        reference: Give it the mean shape of the training structures as its reference.
        conformers: Shapes, means of clusters of the training structures, where there is more than one.
        judged: By which error it is trained and chosen, see :func:`~forcefree.benchmark.md17_loss.loss_of`.
    """

    architecture: str
    options: dict[str, Any] = field(default_factory=dict)
    reference: bool = False
    conformers: int = 1
    judged: Judged = "raw"


_NETWORK = TableModel("gfnode", {"channels": 32, "layers": 2, "filter_width": 32, "turning": False})
_VIBRATIONS = TableModel("gfnode", {"network": False}, reference=True)


def _with(model: TableModel, **options: Any) -> TableModel:
    return replace(model, options=model.options | options)


MODELS: dict[str, TableModel] = {
    "gfnode": _VIBRATIONS,
    "gfnode-superposed": replace(_VIBRATIONS, judged="superposed"),
    "gfnode-both": replace(_VIBRATIONS, judged="both"),
    "gfnode-conformers": replace(_VIBRATIONS, conformers=2),
    "gfnode-and-network": replace(_NETWORK, reference=True),
    "graph-modes": _with(_VIBRATIONS, coupled=False),
    "graph-modes-one-clock": _with(_VIBRATIONS, coupled=False, shared_clock=True),
    "graph-modes-two": _with(_VIBRATIONS, coupled=False, modes=2),
    "graph-modes-no-fourier": _with(_VIBRATIONS, coupled=False, fourier=False),
    "network": _NETWORK,
    "network-learned": _with(_NETWORK, ode="learned"),
    "network-no-ode": _with(_NETWORK, ode="none"),
    "network-no-fourier": _with(_NETWORK, fourier=False),
    "network-two-modes": _with(_NETWORK, modes=2),
    "network-turning": _with(_NETWORK, turning=True),
    "egnn": TableModel("egnn", {"channels": 46, "layers": 4}),
    "egno": TableModel("egnn", {"channels": 36, "layers": 4, "temporal_modes": 2}),
}
"""By the name in the table. ``gfnode`` vibrates about the mean shape, ``network`` is the network without a shape, nearest to the paper, and
the other rows leave out or add one part of either."""


def models_named(names: list[str]) -> dict[str, TableModel]:
    """Some of :data:`MODELS`, or all where none is named.

    Raises:
        ForcefreeError: If one is unknown.
    """
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise ForcefreeError(f"there is no model '{unknown[0]}' in this benchmark; there are {', '.join(MODELS)}")
    return {name: MODELS[name] for name in names or MODELS}
