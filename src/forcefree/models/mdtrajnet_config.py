"""Options of MDtrajNet."""

from __future__ import annotations

from pydantic import Field, model_validator

from forcefree.models.segment_config import SegmentConfig


class MDtrajNetConfig(SegmentConfig):
    """Widths and depths of MDtrajNet."""

    channels: int = Field(default=64, ge=4)
    """Scalars and vectors per atom, shared out among the heads."""

    matrix_channels: int = Field(default=16, ge=2)
    """Symmetric traceless matrices (l = 2) per atom, shared out among the heads."""

    heads: int = Field(default=4, ge=1)
    """Attention heads."""

    normalised: bool = True
    """Weights of an atom's neighbours and its own sum to one; false weighs each neighbour for itself, by a sigmoid."""

    @model_validator(mode="after")
    def _heads_divide(self) -> MDtrajNetConfig:
        for name in ("channels", "matrix_channels"):
            if getattr(self, name) % self.heads:
                raise ValueError(f"{name} ({getattr(self, name)}) must be a multiple of heads ({self.heads})")
        return self
