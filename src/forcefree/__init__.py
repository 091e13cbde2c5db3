"""Force-free molecular dynamics: learn the flow map of a molecule, run long trajectories with it, report whether to trust them.

>>> import forcefree
>>> model = forcefree.load("trajcast-ethanol")  # doctest: +SKIP
>>> forcefree.simulate(model, "ethanol", temperature=300, duration="50 ps", replicas=32, output="traj.h5")  # doctest: +SKIP
>>> found = forcefree.analyze("traj.h5", "ethanol-nvt-300K")  # doctest: +SKIP
>>> forcefree.write_report(found, "report")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forcefree.analysis.study import analyze as analyze
    from forcefree.errors import ForcefreeError as ForcefreeError
    from forcefree.models.files import load as load
    from forcefree.reference.campaign import make_reference as make_reference
    from forcefree.reference.config import ReferenceConfig as ReferenceConfig
    from forcefree.report.writing import write_report as write_report
    from forcefree.simulation.simulate import simulate as simulate
    from forcefree.training.config import TrainingConfig as TrainingConfig
    from forcefree.training.run import train as train

    __version__: str

__all__ = [
    "ForcefreeError",
    "ReferenceConfig",
    "TrainingConfig",
    "__version__",
    "analyze",
    "load",
    "make_reference",
    "simulate",
    "train",
    "write_report",
]

_HOMES = {
    "ForcefreeError": "forcefree.errors",
    "ReferenceConfig": "forcefree.reference.config",
    "TrainingConfig": "forcefree.training.config",
    "analyze": "forcefree.analysis.study",
    "load": "forcefree.models.files",
    "make_reference": "forcefree.reference.campaign",
    "simulate": "forcefree.simulation.simulate",
    "train": "forcefree.training.run",
    "write_report": "forcefree.report.writing",
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
