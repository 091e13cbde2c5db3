"""Options of TrajCast, with the two presets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from forcefree.models.segment_config import SegmentConfig


class TrajCastConfig(SegmentConfig):
    """Widths and depths of TrajCast; unset values come from the preset."""

    preset: Literal["fast", "paper"] = "fast"
    """``fast``: scalars and vectors with trajectory refinement, for CPUs. ``paper``: the published Cartesian equivalent, l <= 2."""

    head: Literal["continuous", "fixed"] = "continuous"
    """``continuous``: any time up to ``t_max``. ``fixed``: displacement and velocity after ``t_max`` alone, as published."""

    velocity_max: float = Field(default=0.11, gt=0.0)
    """Å/fs, the range of the velocity basis in the ``paper`` preset."""

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
        if self.past and (self.head == "fixed" or self.preset == "paper"):
            raise ValueError("past needs the fast preset with the continuous head; set past to 0")
        if self.charges and self.preset == "paper":
            raise ValueError("charges need the fast preset; set charges to 0")
        return self
