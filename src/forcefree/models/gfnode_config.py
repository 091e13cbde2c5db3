"""Options of GF-NODE, its ablations among them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from forcefree.settings import Duration, Settings


class ReferenceStructure(Settings):
    """The mean shape of one molecule, about which it vibrates."""

    numbers: list[int]
    """Atomic numbers."""

    positions: list[tuple[float, float, float]]
    """Å, in the order of the numbers, in any orientation."""

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len(self.numbers) != len(self.positions):
            raise ValueError(f"has {len(self.numbers)} atomic numbers but {len(self.positions)} positions; give one position to each atom")
        return self


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

    reference: ReferenceStructure | None = None
    """Mean shape of the molecule. Its displacement from the superposed shape is carried by oscillators, and the network corrects.
    Without, the network does all."""

    conformers: list[ReferenceStructure] = Field(default_factory=list)
    """Further shapes of the molecule of the reference, atoms in the same order. Each has vibrations of its own, and a molecule follows those
    of the shapes near to its own."""

    coupled: bool = True
    """Let the modes of the reference's graph couple, as the vibrations of molecules do; without, each mode and axis has one oscillator of
    its own (ablation)."""

    relaxations: int = Field(default=12, ge=0)
    """Coupled oscillators beyond the vibrations, for slow turning and drift (``reference`` only)."""

    network: bool = True
    """Message passing and decoding; without, linear oscillators about the reference alone (``reference`` only)."""

    turning: bool = True
    """Forecast in a frame that turns with the angular velocity of isolated molecules; switch it off where hydrogens are left out."""

    @model_validator(mode="after")
    def _something_moves(self) -> Self:
        if not self.network and self.reference is None:
            raise ValueError("without a network there must be a reference to vibrate about; give a reference, or network: true")
        if self.conformers and (self.reference is None or any(each.numbers != self.reference.numbers for each in self.conformers)):
            raise ValueError("conformers must have the atoms of the reference in the same order; give them so, or leave them out")
        return self
