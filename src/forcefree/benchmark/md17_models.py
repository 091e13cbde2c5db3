"""The models of the MD17 table: GF-NODE, its ablations, and the baselines, at matched numbers of parameters."""

from __future__ import annotations

from typing import Any

from forcefree.errors import ForcefreeError

_GFNODE: dict[str, Any] = {"channels": 32, "layers": 2, "filter_width": 32, "turning": False}

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gfnode": ("gfnode", _GFNODE),
    "gfnode-learned": ("gfnode", {**_GFNODE, "ode": "learned"}),
    "no-ode": ("gfnode", {**_GFNODE, "ode": "none"}),
    "no-fourier": ("gfnode", {**_GFNODE, "fourier": False}),
    "two-modes": ("gfnode", {**_GFNODE, "modes": 2}),
    "shared-clock": ("gfnode", {**_GFNODE, "shared_clock": True}),
    "turning": ("gfnode", {**_GFNODE, "turning": True}),
    "egnn": ("egnn", {"channels": 46, "layers": 4}),
    "egno": ("egnn", {"channels": 36, "layers": 4, "temporal_modes": 2}),
}
"""Architecture and options by the name in the table; the ablations leave one part out of ``gfnode``.

``turning`` is what has been left out of all: heavy atoms alone recoil from the hydrogens, and their angular velocity is not that of the
molecule."""


def models_named(names: list[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Some of :data:`MODELS`, or all where none is named.

    Raises:
        ForcefreeError: If one is unknown.
    """
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise ForcefreeError(f"there is no model '{unknown[0]}' in this benchmark; there are {', '.join(MODELS)}")
    return {name: MODELS[name] for name in names or MODELS}
