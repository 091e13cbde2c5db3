"""Options that networks with refinement of the provisional trajectory share."""

from __future__ import annotations

from pydantic import Field

from forcefree.settings import DurationOrNone, Settings


class SegmentConfig(Settings):
    """Widths and depths of a network that forecasts a segment, looks at its forecast, and refines it."""

    channels: int = Field(default=48, ge=4)
    """Features per atom and order."""

    layers: int = Field(default=2, ge=1)
    """Message-passing or attention blocks before the first forecast."""

    refinements: int = Field(default=2, ge=0)
    """Blocks that see the provisional trajectory (not in the ``paper`` preset nor with the fixed head of TrajCast)."""

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

    neighbours: float = Field(default=8.0, gt=0.0)
    """Typical number of neighbours, a constant that normalises sums."""

    past: DurationOrNone = Field(default=0.0, ge=0.0)
    """fs between the last frame and one before it, from both of which the model knows the acceleration and how it changes; 0 for
    models of one frame (neither in the ``paper`` preset nor with the fixed head of TrajCast)."""

    charges: int = Field(default=0, ge=0)
    """Latent charges per atom that act through the whole periodic cell, for liquids and crystals of ions or dipoles (not in the ``paper``
    preset). In training the cost of their field grows with the square of the number of atoms, in simulations with the number."""
