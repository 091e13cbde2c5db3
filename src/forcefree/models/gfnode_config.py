"""Options of GF-NODE, its ablations among them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from forcefree.settings import Duration, Settings


class GfNodeConfig(Settings):
    """Widths, depths and the dynamics of the modes of GF-NODE."""

    channels: int = Field(default=32, ge=2)
    """Scalars and vectors per atom, and per mode of the graph."""

    layers: int = Field(default=3, ge=1)
    """Message-passing blocks before the transform."""

    decoder_layers: int = Field(default=2, ge=1)
    """Gated updates of each atom at each requested time."""

    radial_functions: int = Field(default=16, ge=2)
    """Gaussians of the distance."""

    filter_width: int = Field(default=64, ge=4)
    """Hidden width of the filter of a message."""

    neighbours: float = Field(default=8.0, gt=0.0)
    """Typical number of neighbours, a constant that normalises sums."""

    ode: Literal["oscillator", "learned", "none"] = "oscillator"
    """``oscillator``: damped oscillators in closed form. ``learned``: a gated equation, integrated. ``none``: modes stand still (ablation)."""

    steps: int = Field(default=16, ge=1)
    """Runge-Kutta steps up to ``t_max`` (``learned`` only)."""

    shortest_period: Duration = 20.0
    """Shortest period in fs of clocks and time features before training."""

    fourier: bool = True
    """Evolve the modes of the bond graph; without, each atom by itself (ablation)."""

    modes: int | None = Field(default=None, ge=1)
    """Let only so many of the smoothest modes evolve, rounded up to whole eigenspaces (ablation); all where not given."""

    shared_clock: bool = False
    """One clock for all modes, whatever their eigenvalue (ablation)."""

    turning: bool = True
    """Forecast in a frame that turns with the angular velocity of isolated molecules; switch it off where hydrogens are left out."""
