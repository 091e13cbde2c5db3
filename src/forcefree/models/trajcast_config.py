"""Options of TrajCast, with the two presets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from forcefree.settings import Settings


class TrajCastConfig(Settings):
    """Widths and depths of TrajCast; unset values come from the preset."""

    preset: Literal["fast", "paper"] = "fast"
    """``fast``: scalars and vectors with trajectory refinement, for CPUs. ``paper``: the published Cartesian equivalent, l <= 2."""

    head: Literal["continuous", "fixed"] = "continuous"
    """``continuous``: any time up to ``t_max``. ``fixed``: displacement and velocity after ``t_max`` alone, as published."""

    channels: int = Field(default=48, ge=4)
    """Features per atom and order."""

    layers: int = Field(default=2, ge=1)
    """Message-passing blocks before the first forecast."""

    refinements: int = Field(default=2, ge=0)
    """Blocks that see the provisional trajectory (``fast`` preset with the continuous head only)."""

    nodes: int = Field(default=5, ge=1)
    """Times inside the segment at which a refinement looks at the provisional trajectory."""

    filter_width: int = Field(default=64, ge=4)
    """Hidden width of the radial filter of a message."""

    refinement_width: int = Field(default=32, ge=4)
    """Width of the filter of a refinement."""

    radial_functions: int = Field(default=16, ge=2)
    """Functions of the distance (8 Bessel functions in the ``paper`` preset)."""

    time_functions: int = Field(default=10, ge=2)
    """Functions of time in the continuous head."""

    velocity_max: float = Field(default=0.11, gt=0.0)
    """Å/fs, the range of the velocity basis in the ``paper`` preset."""

    neighbours: float = Field(default=8.0, gt=0.0)
    """Typical number of neighbours, a constant that normalises sums."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("preset") == "paper":
            return {"channels": 64, "layers": 4, "refinements": 0, "radial_functions": 8, **values}
        return values

    @model_validator(mode="after")
    def _refinement_needs_time(self) -> TrajCastConfig:
        if self.refinements and (self.head == "fixed" or self.preset == "paper"):
            raise ValueError("refinements need the fast preset with the continuous head; set refinements to 0")
        return self
