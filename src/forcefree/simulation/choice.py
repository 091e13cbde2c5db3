"""Which propagator a simulation gets: what the user asks for, else what the model's card recommends."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.adaptive import Adaptive
from forcefree.simulation.propagators import Direct, Propagator
from forcefree.simulation.reversible import Reversible
from forcefree.simulation.window import Window
from forcefree.temperature import Conserved

PropagatorName = Literal["auto", "direct", "reversible", "window"]
USUAL_HALVINGS = 3


def make_propagator(
    model: Forecaster, name: PropagatorName = "auto", interval: float | None = None, corrections: int | None = None
) -> Propagator:
    """Build the propagator of a simulation.

    Args:
        model: A forecaster.
        name: ``auto`` takes the card's recommendation; where the card has none, window for a model of several frames, else
            reversible, which held energies and equipartition better than direct with every model measured so far.
        interval: Length of a whole step in fs; recommended, else the longest that the model has, when not given.
        corrections: Of the reversible propagator; recommended, else 1, when not given.

    Raises:
        ForcefreeError: If the model cannot serve the propagator at that interval, or an option does not belong to it.
    """
    advice = model.card.propagator
    usual = "reversible" if model.card.history_length == 1 else "window"
    chosen = str(advice.get("name", usual)) if name == "auto" else name
    if chosen not in ("direct", "reversible", "window"):
        raise ForcefreeError(f"propagator '{chosen}' is unknown; there are direct, reversible and window")
    if advice.get("name") != chosen:
        advice = {}
    if interval is None:
        interval = float(advice["interval"]) if "interval" in advice else _longest(model, chosen)
    if chosen != "reversible":
        if corrections is not None:
            raise ForcefreeError(f"corrections ({corrections}) belong to the reversible propagator, not to {chosen}")
        return Direct(model, interval) if chosen == "direct" else Window(model, interval)
    if corrections is None:
        corrections = int(advice.get("corrections", 1))
    return Reversible(model, 0.5 * interval, corrections)


def keeps_energy(model: Forecaster, name: PropagatorName = "auto", keep: bool | None = None) -> bool:
    """Whether a simulation keeps the total energy: as asked for, else as the card recommends for the propagator that is used."""
    advice = model.card.propagator
    return bool(advice.get("keep_energy", False)) and name in ("auto", advice.get("name")) if keep is None else keep


def make_adaptive(
    propagator: Propagator, model: Forecaster, tolerance: float, halvings: int, freedom: Tensor, conserved: Conserved
) -> Adaptive:
    """The propagator with steps that are halved where the energy head sees more than the tolerance.

    Args:
        propagator: Direct or reversible.
        model: Its model.
        tolerance: meV per degree of freedom.
        halvings: How often a step may be halved.
        freedom: Degrees of freedom of each replica, shape (n_systems,).
        conserved: What the dynamics keeps at zero.

    Raises:
        ForcefreeError: If the model has no energy head, or its steps cannot be halved.
    """
    if model.card.fixed_times is not None or isinstance(propagator, Window):
        raise ForcefreeError(
            f"steps of model {model.card.name} cannot be halved, because it has forecasts at fixed times only; leave the tolerance out"
        )
    levels: list[Propagator] = [propagator]
    for _ in range(halvings):
        shorter = 0.5 * levels[-1].interval
        levels.append(
            Reversible(model, 0.5 * shorter, propagator.corrections) if isinstance(propagator, Reversible) else Direct(model, shorter)
        )
    return Adaptive(levels, model, tolerance / 1000.0, freedom, conserved)


def _longest(model: Forecaster, name: str) -> float:
    """The longest step: any time up to ``t_max`` makes two halves, a fixed time can only be taken twice."""
    card = model.card
    if card.fixed_times is None:
        return card.t_max
    return max(card.fixed_times) * (2.0 if name == "reversible" else 1.0)
