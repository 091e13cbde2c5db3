"""Training that goes on from a model: under a new name, on new data, with new elements where the data has some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.energy_head import EnergyHead
from forcefree.models.files import load
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model
from forcefree.training.config import TrainingConfig
from forcefree.training.statistics import departure_scales, guard_limits, told_temperatures
from forcefree.training.windows import WindowSource


def continued(config: TrainingConfig, trajectories: Sequence[Trajectory], source: WindowSource, made: dict[str, Any]) -> Forecaster:
    """The initial model, ready to be trained on new data; its card speaks of the new data and remembers the old.

    A model without an energy head gets one where the configuration trains one.

    Args:
        config: With ``initial``.
        trajectories: The new data.
        source: Windows of it, as long as one forecast.
        made: What the card says of this training.

    Raises:
        ForcefreeError: If the initial model forecasts another time, or cannot learn the elements that are new.
    """
    if config.initial is None:
        raise ForcefreeError("there is no initial model to go on from; set initial to a model file or a bundled name")
    model = load(config.initial)
    old = model.card
    if abs(old.t_max - config.model.t_max) > 1e-6:
        raise ForcefreeError(
            f"initial model {config.initial} forecasts up to {old.t_max:g} fs, but model.t_max is {config.model.t_max:g} fs; make them equal"
        )
    if config.potential_weight and model.energy is None:
        model.card = model.card.model_copy(update={"energy": config.model.energy})
        model.energy = EnergyHead(config.model.energy, old.species, old.cutoff)
    model = with_species(model, sorted({int(number) for t in trajectories for number in t.numbers}), source)
    first = trajectories[0].provenance
    model.card = model.card.model_copy(
        update={
            "name": config.model.name,
            "ensemble": str(first.get("ensemble", "unknown")),
            "temperatures": told_temperatures(trajectories),
            "level_of_theory": str(first.get("level_of_theory", "unknown")),
            "calculator": first.get("calculator"),
            "guards": _merged(old.guards, guard_limits(trajectories)),
            "training": {**made, "initial": old.training},
        }
    )
    return model.train()


def with_species(model: Forecaster, species: Sequence[int], source: WindowSource) -> Forecaster:
    """The model with rows for further elements: those it knew keep theirs, new ones start like those of a new model.

    Args:
        model: Any whose tables have one row per element, or one per pair of elements.
        species: Atomic numbers that it should know, beside those it does.
        source: Data from which new elements get the scales of their departures.

    Raises:
        ForcefreeError: If its architecture keeps elements in another way.
    """
    old = model.card.species
    new = sorted({*old, *species})
    if new == old:
        return model
    grown = build_model(model.card.model_copy(update={"species": new}))
    set_scales: Any = getattr(grown, "set_scales", None)
    if set_scales is not None:
        set_scales(*departure_scales(source, new))
    rows = torch.tensor([new.index(number) for number in old])
    pairs = (rows[:, None] * len(new) + rows).flatten()
    state = grown.state_dict()
    for name, tensor in model.state_dict().items():
        if tensor.shape == state[name].shape:
            state[name] = tensor
        elif not (_placed(state[name], tensor, rows, len(new)) or _placed(state[name], tensor, pairs, len(new) ** 2)):
            raise ForcefreeError(
                f"architecture '{model.card.model}' cannot learn new elements ({name} has no rows for them); train it anew"
            )
    grown.load_state_dict(state)
    return grown


def _placed(target: Tensor, source: Tensor, rows: Tensor, count: int) -> bool:
    """Put the rows of ``source`` where they belong in ``target``, if they fit."""
    if source.shape[1:] != target.shape[1:] or len(source) != len(rows) or len(target) != count:
        return False
    target[rows] = source
    return True


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Limits of the new data, and of the old data where the new says nothing; volumes of both, where both are periodic."""
    volumes = [limits["volume"] for limits in (old, new) if "volume" in limits]
    old, new = ({key: value for key, value in limits.items() if key != "volume"} for limits in (old, new))
    if len(volumes) == 2:
        new = new | {"volume": [min(volumes[0][0], volumes[1][0]), max(volumes[0][1], volumes[1][1])]}
    nested = {key: {**old[key], **value} for key, value in new.items() if isinstance(value, dict) and isinstance(old.get(key), dict)}
    return {**old, **new, **nested}
