"""Does it diffuse as the reference does: mean square displacements of each element in periodic systems."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import constants

from forcefree.analysis.pieces import Piece
from forcefree.analysis.result import Curve, Measure, numbers
from forcefree.analysis.transport import diffusion_coefficient, element_displacements
from forcefree.analysis.verdict import Thresholds, judge_deviation, mean_and_error
from forcefree.data.trajectory import Floats

SLOWEST = 1e-7
"""cm^2/s; differences below this are not held against a trajectory."""

_CUBIC = 2.837297
_WATER = 0.85


def diffusion_measures(model: Sequence[Piece], reference: Sequence[Piece], thresholds: Thresholds) -> tuple[list[Measure], list[Curve]]:
    """Compare diffusion coefficients, fitted to each piece.

    Args:
        model: Pieces of the trajectory.
        reference: Pieces of the reference, of the same duration.
        thresholds: Relative deviation allowed.

    Returns:
        A measure per element, and the mean square displacements over ps.
    """
    ours, theirs = ([element_displacements(piece.frames) for piece in side] for side in (model, reference))
    spacings = [side[0].frames.spacing for side in (model, reference)]
    measures, curves = [], []
    for symbol in theirs[0]:
        sides = [
            mean_and_error([1e5 * diffusion_coefficient(one[symbol], spacing) for one in side])
            for side, spacing in zip((ours, theirs), spacings, strict=True)
        ]
        (mean, error), (base, base_error) = sides
        allowed = max(thresholds.diffusion * abs(base), 1e5 * SLOWEST)
        measures.append(
            Measure(
                key=f"diffusion.{symbol}",
                group="transport",
                label=f"diffusion coefficient of {symbol}",
                unit="10⁻⁵ cm²/s",
                model=mean,
                model_error=_known(error),
                reference=base,
                reference_error=_known(base_error),
                deviation=abs(mean - base),
                deviation_error=_known(float(np.hypot(error, base_error))),
                threshold=allowed,
                threshold_unit="10⁻⁵ cm²/s",
                verdict=judge_deviation(abs(mean - base), float(np.hypot(error, base_error)), allowed),
                note="slope of the mean square displacement over six",
            )
        )
        curves.append(_curve(symbol, [one[symbol] for one in ours], [one[symbol] for one in theirs], spacings))
    return measures, curves


def finite_size_gain(volume: float, temperature: float, viscosity: float) -> float:
    r"""What a liquid diffuses faster for without the images of its cell, :math:`2.837297 k_B T / (6 \pi \eta V^{1/3})`.

    Source: Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004); exact to leading order for cubic cells.

    Args:
        volume: Of the cell, Å^3.
        temperature: K.
        viscosity: Of the liquid, mPa s.

    Returns:
        cm^2/s.
    """
    return float(1e4 * _CUBIC * constants.k * temperature / (6.0 * np.pi * 1e-3 * viscosity * 1e-10 * volume ** (1.0 / 3.0)))


def finite_size_notes(measures: Sequence[Measure], cell: Floats, temperature: float) -> list[str]:
    """A sentence where something diffuses: both sides share the cell, and an infinite liquid would be faster.

    Args:
        measures: With those of :func:`diffusion_measures`.
        cell: Å, shape (3, 3).
        temperature: K.
    """
    fastest = max((measure.reference or 0.0 for measure in measures if measure.key.startswith("diffusion.")), default=0.0)
    if fastest < 1e5 * SLOWEST:
        return []
    volume = float(abs(np.linalg.det(cell)))
    gain = 1e5 * finite_size_gain(volume, temperature, _WATER)
    return [
        f"Diffusion coefficients are those of this cell, for the trajectory as for the reference. An infinite liquid would be faster by "
        f"about {gain * _WATER:.2g} x 10⁻⁵ cm²/s over its viscosity in mPa s ({gain:.2g} at the {_WATER:g} mPa s of water at 300 K; Yeh and "
        "Hummer 2004)."
    ]


def _curve(symbol: str, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], spacings: Sequence[float]) -> Curve:
    left, right = np.mean(ours, axis=0), np.mean(theirs, axis=0)
    shown = slice(0, len(right) // 2, max(1, len(right) // 400))
    times = np.arange(len(right))[shown] * spacings[1]
    moved = np.interp(times, np.arange(len(left)) * spacings[0], left)
    return Curve(name=symbol, x=numbers(times / 1000.0), model=numbers(moved), reference=numbers(right[shown]))


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
