"""Options of the energy head."""

from __future__ import annotations

from pydantic import Field

from forcefree.settings import Settings


class EnergyConfig(Settings):
    """Widths and depths of the network that gives the potential energy."""

    channels: int = Field(default=32, ge=4)
    """Scalars and vectors per atom."""

    matrix_channels: int = Field(default=8, ge=2)
    """Symmetric traceless matrices (l = 2) per atom."""

    layers: int = Field(default=2, ge=1)
    """Message-passing blocks."""

    filter_width: int = Field(default=32, ge=4)
    """Hidden width of the radial filter of a message."""

    radial_functions: int = Field(default=16, ge=2)
    """Functions of the distance."""

    neighbours: float = Field(default=8.0, gt=0.0)
    """Typical number of neighbours, a constant that normalises sums."""
