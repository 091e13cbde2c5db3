"""Options of MDtrajNet."""

from __future__ import annotations

from pydantic import Field, model_validator

from forcefree.settings import Settings


class MDtrajNetConfig(Settings):
    """Widths and depths of MDtrajNet."""

    channels: int = Field(default=64, ge=4)
    """Scalars and vectors per atom, shared out among the heads."""

    matrix_channels: int = Field(default=16, ge=2)
    """Symmetric traceless matrices (l = 2) per atom, shared out among the heads."""

    heads: int = Field(default=4, ge=1)
    """Attention heads."""

    normalised: bool = True
    """Weights of an atom's neighbours and its own sum to one; false weighs each neighbour for itself, by a sigmoid."""

    layers: int = Field(default=2, ge=1)
    """Attention blocks before the first forecast."""

    refinements: int = Field(default=2, ge=0)
    """Blocks that see the provisional trajectory; none as in the paper."""

    nodes: int = Field(default=5, ge=1)
    """Times inside the segment at which a refinement looks at the provisional trajectory."""

    filter_width: int = Field(default=64, ge=4)
    """Hidden width of the radial filter of an attention block."""

    refinement_width: int = Field(default=32, ge=4)
    """Width of the filter of a refinement."""

    radial_functions: int = Field(default=16, ge=2)
    """Gaussians of the distance."""

    time_functions: int = Field(default=10, ge=2)
    """Functions of time, from which any time of the segment is decoded."""

    neighbours: float = Field(default=8.0, gt=0.0)
    """Typical number of neighbours, a constant that normalises sums."""

    @model_validator(mode="after")
    def _heads_divide(self) -> MDtrajNetConfig:
        for name in ("channels", "matrix_channels"):
            if getattr(self, name) % self.heads:
                raise ValueError(f"{name} ({getattr(self, name)}) must be a multiple of heads ({self.heads})")
        return self
