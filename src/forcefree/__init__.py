"""Force-free molecular dynamics: learn the flow map of a molecule, run long trajectories with it, report whether to trust them.

>>> import forcefree
>>> model = forcefree.load("trajcast-ethanol")  # doctest: +SKIP
>>> forcefree.simulate(model, "ethanol", temperature=300, duration="50 ps", replicas=32, output="traj.h5")  # doctest: +SKIP
>>> forcefree.analyze("traj.h5", against="ethanol-nvt-300K", output="report")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forcefree.analysis.analyze import analyze as analyze
    from forcefree.errors import ForcefreeError as ForcefreeError
    from forcefree.models.files import load as load
    from forcefree.reference.campaign import make_reference as make_reference
    from forcefree.simulation.simulate import simulate as simulate

    __version__: str

__all__ = ["ForcefreeError", "__version__", "analyze", "load", "make_reference", "simulate"]

_HOMES = {
    "ForcefreeError": "forcefree.errors",
    "analyze": "forcefree.analysis.analyze",
    "load": "forcefree.models.files",
    "make_reference": "forcefree.reference.campaign",
    "simulate": "forcefree.simulation.simulate",
}
"""Where each public name lives; it is imported when it is first asked for, so that ``import forcefree`` costs nothing."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("forcefree")
    if name not in _HOMES:
        raise AttributeError(f"module 'forcefree' has no attribute '{name}'; public are {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
