"""Options of ASTEROID."""

from __future__ import annotations

from pydantic import Field, model_validator

from forcefree.settings import Settings


class AsteroidConfig(Settings):
    """Window, widths and the weights of the STI terms of ASTEROID."""

    window: int = Field(default=6, ge=2)
    """Frames that a forecast starts from."""

    spacing: float = Field(default=1.0, gt=0.0)
    """fs between frames, of the window and of the forecast; ``t_max`` is a multiple of it."""

    lags: int = Field(default=3, ge=1)
    """Earlier frames in the delay vector of a frame; frames that have as many before them are rows of the Hankel matrix."""

    noise: float = Field(default=0.1, gt=0.0)
    """Resolution of the delay vectors, relative to the departure from free flight at ``t_max``; larger for rougher rollouts."""

    innovation: bool = True
    """Correct the forecast by how the observed past differs from the one that the last frame implies."""

    channels: int = Field(default=32, ge=4)
    """Scalars and vectors per atom and frame."""

    layers: int = Field(default=1, ge=1)
    """Spatial and temporal layers of the encoder."""

    heads: int = Field(default=4, ge=1)
    """Attention heads; a divisor of ``channels``."""

    filter_width: int = Field(default=32, ge=4)
    """Hidden width of the filters of local attention."""

    radial_functions: int = Field(default=16, ge=2)
    """Gaussians of the distance."""

    local_attention: bool = True
    """Attention to neighbours within the cutoff."""

    global_attention: bool = True
    """Attention to all atoms of the system, through a gate."""

    autoregressive: bool = True
    """Correct the forecast of the primary map frame by frame; without it that forecast is final."""

    known_weight: float = Field(default=0.1, ge=0.0)
    """Weight of errors of the primary map at known entries of the Hankel matrix, the past among them."""

    consistency_weight: float = Field(default=0.03, ge=0.0)
    """Weight of disagreement along its anti-diagonals."""

    conjugate_weight: float = Field(default=0.03, ge=0.0)
    """Weight of errors of the conjugate map, which reads the delay vector of the past back from that of the future."""

    @model_validator(mode="after")
    def _consistent(self) -> AsteroidConfig:
        if self.lags >= self.window:
            raise ValueError(f"lags ({self.lags}) must be fewer than the frames of the window ({self.window})")
        if self.channels % self.heads:
            raise ValueError(f"channels ({self.channels}) must be a multiple of heads ({self.heads})")
        if not (self.local_attention or self.global_attention):
            raise ValueError("local_attention and global_attention cannot both be off, atoms would not see each other")
        return self

    @property
    def uses_sti(self) -> bool:
        """Whether any STI term is in the loss."""
        return self.known_weight + self.consistency_weight + self.conjugate_weight > 0.0
