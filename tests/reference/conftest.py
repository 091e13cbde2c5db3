"""Configurations that take milliseconds: springs between the atoms of methane."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forcefree.reference.config import ReferenceConfig

MakeConfig = Callable[..., ReferenceConfig]


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    """A configuration, with some keys changed."""

    def make(**changes: Any) -> ReferenceConfig:
        values: dict[str, Any] = {
            "calculator": {"name": "springs:Springs"},
            "start": {"name": "methane"},
            "temperatures": [300],
            "runs_per_temperature": 1,
            "timestep": 0.5,
            "equilibration": {"duration": 25.0, "friction_time": 20.0},
            "recording": {"duration": 300.0, "every": 1.0},
            "seed": 3,
            "output": tmp_path / "reference.h5",
        }
        return ReferenceConfig.parse({**values, **changes}, "test")

    return make
