"""One analysis of a little molecule of springs for all tests of the room."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forcefree.analysis import Analysis, analyze
from networks import molecular_dynamics, store


@pytest.fixture(scope="session")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    folder = tmp_path_factory.mktemp("report")
    runs = molecular_dynamics(5, 400, seed=1, ensemble="nve")
    runs[4] = replace(
        runs[4].frames(0, 20), provenance={**runs[4].provenance, "stopped": "replica 4 was stopped because a bond <b>broke</b>"}
    )
    model = store(folder / "traj.h5", runs)
    return analyze(model, store(folder / "reference.h5", molecular_dynamics(6, 400, ensemble="nve")), samples=60, splits=4)
