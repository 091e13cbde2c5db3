"""What an analysis finds, as plain values that become JSON and a report."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from forcefree.settings import Settings

Verdict = Literal["holds", "does not hold", "undecided", "not judged"]
"""``undecided``: beyond the threshold by less than the sampling error, so more data is needed to tell."""

Group = Literal["completeness", "ensemble", "energy", "vibration", "structure", "transport"]
"""What a measure speaks for."""


class Measure(Settings):
    """One number of the trajectory beside the reference's, with the threshold that it is held to."""

    key: str
    group: Group
    label: str
    unit: str = ""
    model: float | None = None
    model_error: float | None = None
    """Standard error of the mean, over runs or blocks."""

    reference: float | None = None
    reference_error: float | None = None
    deviation: float | None = None
    """The number that is tested, in the unit of the threshold."""

    deviation_error: float | None = None
    ceiling: float | None = None
    """The same deviation between two halves of the reference."""

    threshold: float | None = None
    threshold_unit: str = ""
    verdict: Verdict = "not judged"
    note: str = ""


class Curve(Settings):
    """A function of one variable for trajectory and reference, on the same grid."""

    name: str
    x: list[float]
    model: list[float]
    reference: list[float]


class DistributionResult(Settings):
    """Distribution of one named coordinate, as a density."""

    kind: str
    curve: Curve
    distance: float
    spread: float
    ceiling: float
    ceiling_spread: float
    verdict: Verdict


class PeakResult(Settings):
    """A peak of the vibrational spectrum in cm^-1; ``model`` is None where it has no counterpart."""

    reference: float
    model: float | None
    ceiling: float
    verdict: Verdict


class SpectrumResult(Settings):
    """Vibrational density of states, in degrees of freedom per cm^-1."""

    curves: list[Curve]
    """``all`` and one per element."""

    peaks: list[PeakResult]
    resolution: float
    nyquist: float
    folded: float | None
    """Fraction of the reference's power above the Nyquist limit, where its own frames are close enough to know."""


class EnergyResult(Settings):
    """True potential energies of sampled frames, relative to the reference's mean, and total energies along time."""

    calculator: str
    samples: int
    failed: int
    """Frames on which the calculator failed."""

    potential: Curve
    """Probability density over meV/atom."""

    times: list[float] = Field(default_factory=list)
    """ps, of the total energies."""

    total: list[list[float | None]] = Field(default_factory=list)
    """Change of the total energy since the first sample, meV/atom, one list per run; only for NVE."""


class SideResult(Settings):
    """Where one side of the comparison comes from."""

    path: str
    formula: str
    n_atoms: int
    periodic: bool
    runs: int
    analysed_runs: int
    spacing: float
    """fs."""

    duration: float
    """ps, of all analysed runs together."""

    ensemble: str
    temperature: float | None
    conserved: str
    shown_run: str
    """Name of the run that stands for the others in pictures."""

    provenance: dict[str, Any]
    """Of the first run."""


class Analysis(Settings):
    """Everything that ``report.json`` holds."""

    format_version: int = 1
    trajectory: SideResult
    reference: SideResult
    options: dict[str, Any]
    measures: list[Measure]
    spectrum: SpectrumResult | None = None
    distributions: list[DistributionResult] = Field(default_factory=list)
    energies: EnergyResult | None = None
    radial: list[Curve] = Field(default_factory=list)
    """Radial distribution functions over Å."""

    displacements: list[Curve] = Field(default_factory=list)
    """Mean square displacements in Å^2 over ps."""

    stopped: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    conclusion: str = ""

    def measure(self, key: str) -> Measure:
        """The measure with that key.

        Raises:
            KeyError: If there is none.
        """
        for measure in self.measures:
            if measure.key == key:
                return measure
        raise KeyError(key)


def numbers(values: Any) -> list[float]:
    """An array as a list of floats of six significant digits, which keeps the JSON small."""
    return [float(f"{value:.6g}") for value in values]
