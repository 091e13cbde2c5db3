"""The pictures of a report, drawn from an analysis alone."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forcefree.analysis.result import Analysis, Curve, DistributionResult

MODEL = "#d1495b"
REFERENCE = "#1f4e79"
_MUTED = "#8a94a0"
_WIDTH = 9.6
_MOST_PANELS = 12
_X_LABELS = {"bond": "Å", "angle": "degrees", "dihedral": "degrees", "pair": "Å"}
_KINDS = {"bond": "bonds", "angle": "angles", "dihedral": "dihedrals"}


def draw(analysis: Analysis) -> dict[str, bytes]:
    """Every picture that the analysis has numbers for.

    Args:
        analysis: Numbers.

    Returns:
        PNG images by name, such as ``temperatures`` and ``spectrum``, in the order in which they are read.
    """
    figures: dict[str, Figure] = {"temperatures": temperatures(analysis)}
    if analysis.energies is not None:
        figures["energies"] = energies(analysis)
    if analysis.spectrum is not None:
        figures["spectrum"] = spectrum(analysis)
    if analysis.distributions:
        figures["distances"] = distances(analysis.distributions)
    for kind, name in _KINDS.items():
        members = [result for result in analysis.distributions if result.kind == kind]
        if members:
            figures[name] = distributions(members)
    if analysis.radial:
        figures["radial"] = curves(analysis.radial, "Å", "g(r)")
    if analysis.displacements:
        figures["displacements"] = curves(analysis.displacements, "ps", "mean square displacement / Å$^2$")
    return {name: _png(figure) for name, figure in figures.items()}


def temperatures(analysis: Analysis) -> Figure:
    """Temperature overall and by element, with error bars of two standard errors."""
    measures = [measure for measure in analysis.measures if measure.key.startswith("temperature.")]
    figure, (axes,) = _figure(1, 2.6)
    places = range(len(measures))
    sides = ((-0.08, MODEL, "trajectory", "model"), (0.08, REFERENCE, "reference", "reference"))
    for shift, colour, label, field in sides:
        values = [getattr(measure, field) or float("nan") for measure in measures]
        errors = [2.0 * (getattr(measure, f"{field}_error") or 0.0) for measure in measures]
        axes.errorbar([p + shift for p in places], values, yerr=errors, fmt="o", color=colour, capsize=3, label=label)
    if analysis.trajectory.temperature is not None:
        axes.axhline(analysis.trajectory.temperature, color=_MUTED, linestyle="--", linewidth=1, label="target")
    axes.set_xticks(list(places), [measure.key.removeprefix("temperature.") for measure in measures])
    axes.set_xlim(-0.5, max(1, len(measures)) - 0.5)
    axes.set_ylabel("kinetic temperature / K")
    axes.legend(frameon=False, ncols=3)
    return figure


def energies(analysis: Analysis) -> Figure:
    """Distribution of the true potential energy and, for NVE, the total energy along time."""
    found = analysis.energies
    assert found is not None
    figure, axes = _figure(2 if found.total else 1, 3.0)
    _pair(axes[0], found.potential, filled=True)
    axes[0].set_xlabel("potential energy / meV per atom")
    axes[0].set_ylabel("density")
    axes[0].legend(frameon=False)
    if found.total:
        for change in found.total:
            shown = [float("nan") if value is None else value for value in change]
            axes[1].plot(found.times[: len(shown)], shown[: len(found.times)], color=MODEL, alpha=0.5, linewidth=1)
        axes[1].axhline(0.0, color=_MUTED, linewidth=1)
        axes[1].set_xlabel("time / ps")
        axes[1].set_ylabel("Δ total energy / meV per atom")
    return figure


def spectrum(analysis: Analysis) -> Figure:
    """Vibrational density of states, overall and by element, with the peaks that were compared."""
    found = analysis.spectrum
    assert found is not None
    figure = Figure(figsize=(_WIDTH, 1.0 + 1.75 * len(found.curves)), layout="constrained")
    rows = figure.subplots(len(found.curves), 1, sharex=True, squeeze=False)[:, 0]
    for axes, curve in zip(rows, found.curves, strict=True):
        _pair(axes, curve)
        axes.set_ylabel("all atoms" if curve.name == "all" else curve.name)
        axes.set_yticks([])
        _clean(axes)
    for peak in found.peaks:
        rows[0].axvline(peak.reference, color=_MUTED, linewidth=0.6, linestyle=":")
    rows[0].legend(frameon=False, loc="upper center", ncols=2)
    rows[-1].set_xlabel("wavenumber / cm$^{-1}$")
    rows[-1].set_xlim(0.0, min(found.nyquist, 4200.0))
    return figure


def distances(results: Sequence[DistributionResult]) -> Figure:
    """Jensen-Shannon distance of every coordinate beside the ceiling of sampling noise."""
    figure, (axes,) = _figure(1, 3.4)
    places = range(len(results))
    axes.errorbar(
        places, [r.ceiling for r in results], yerr=[r.ceiling_spread for r in results], fmt="_", color=REFERENCE, markersize=8,
        elinewidth=4, alpha=0.45, label="half the reference against the other half",
    )  # fmt: skip
    axes.plot(places, [r.distance for r in results], "o", color=MODEL, markersize=4, label="trajectory against half the reference")
    if len(results) <= 60:
        axes.set_xticks(list(places), [r.curve.name for r in results], rotation=90, fontsize=7)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("Jensen-Shannon distance")
    figure.legend(loc="outside upper center", frameon=False, ncols=2)
    return figure


def distributions(results: Sequence[DistributionResult]) -> Figure:
    """Distributions of the coordinates that are farthest from the reference relative to their ceiling, twelve at most."""
    ranked = sorted(results, key=lambda result: result.distance / max(result.ceiling, 1e-12), reverse=True)[:_MOST_PANELS]
    return _panels([r.curve for r in ranked], _X_LABELS[results[0].kind], filled=True)


def curves(found: Sequence[Curve], x_label: str, y_label: str) -> Figure:
    """One panel per curve."""
    figure = _panels(found, x_label)
    figure.supylabel(y_label, fontsize=9)
    return figure


def _panels(found: Sequence[Curve], x_label: str, *, filled: bool = False) -> Figure:
    columns = min(4, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(_WIDTH, 0.4 + 1.9 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, curve in zip(grid, found, strict=False):
        _pair(axes, curve, filled=filled)
        axes.set_title(curve.name, fontsize=9)
        axes.tick_params(labelsize=7)
        if filled:
            axes.set_yticks([])
        _clean(axes)
    for axes in grid[len(found) :]:
        axes.set_visible(False)
    grid[0].legend(frameon=False, fontsize=7)
    figure.supxlabel(x_label, fontsize=9)
    return figure


def _pair(axes: Axes, curve: Curve, *, filled: bool = False) -> None:
    if filled:
        axes.fill_between(curve.x, curve.reference, color=REFERENCE, alpha=0.18, linewidth=0, step="mid")
    step: dict[str, str] = {"drawstyle": "steps-mid"} if filled else {}
    axes.plot(curve.x, curve.reference, color=REFERENCE, linewidth=1.3, label="reference", **step)  # type: ignore[arg-type]
    axes.plot(curve.x, curve.model, color=MODEL, linewidth=1.1, label="trajectory", **step)  # type: ignore[arg-type]


def _figure(columns: int, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = list(figure.subplots(1, columns, squeeze=False).ravel())
    for one in axes:
        _clean(one)
    return figure, axes


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
