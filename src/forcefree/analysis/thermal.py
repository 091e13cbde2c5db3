"""Temperature and equipartition: whether every element is as warm as it should be."""

from __future__ import annotations

from collections.abc import Sequence

from forcefree.analysis.motion import conserved_by, run_temperatures
from forcefree.analysis.result import Measure
from forcefree.analysis.sample import Sample
from forcefree.analysis.verdict import Thresholds, judge_deviation, mean_and_error
from forcefree.data.trajectory import Trajectory

_FEWEST_RUNS = 4
_BLOCKS = 8


def temperatures(runs: Sequence[Trajectory]) -> dict[str, tuple[float, float]]:
    """Mean kinetic temperature and its standard error, overall (``all``) and by element.

    Args:
        runs: Runs of one system. Errors come from the scatter between runs; where there are fewer than four and a
            thermostat mixes them, or just one, they come from blocks in time.

    Returns:
        Mean and standard error in K by name.
    """
    conserved = conserved_by(runs)
    enough = 2 if str(runs[0].provenance.get("ensemble", "")).lower() == "nve" else _FEWEST_RUNS
    blocks = runs if len(runs) >= enough else [block for run in runs for block in _blocks(run, -(-_BLOCKS // len(runs)))]
    found = [run_temperatures(block, conserved) for block in blocks]
    return {name: mean_and_error([one[name] for one in found], [len(block) for block in blocks]) for name in found[0]}


def temperature_measures(model: Sample, reference: Sample, thresholds: Thresholds) -> list[Measure]:
    """Overall and element temperatures beside those of the reference.

    A thermostatted trajectory is held to its target temperature, or to the reference's where the store does not say the
    target. An NVE trajectory is free to have any mean temperature, so that its elements are held to its own. Where every element has a
    thermostat of its own its temperature is no evidence, and is not judged.

    Args:
        model: The trajectory that is judged.
        reference: What stands beside it.
        thresholds: Relative deviations allowed.

    Returns:
        One measure overall and one per element.
    """
    found, beside = temperatures(model.runs), temperatures(reference.runs)
    microcanonical = model.ensemble == "nve"
    target = model.temperature if model.temperature is not None else reference.temperature
    measures = []
    for name, (mean, error) in found.items():
        overall = name == "all"
        goal = target if target is not None else beside[name][0]
        goal_error = 0.0 if target is not None else beside[name][1]
        if microcanonical:
            goal, goal_error = found["all"][0], 0.0
        allowed = thresholds.temperature if overall else thresholds.element_temperature
        deviation = abs(mean / goal - 1.0)
        deviation_error = (error**2 + goal_error**2) ** 0.5 / goal
        held = model.thermostat == "csvr-elements" and not overall
        judged = not (overall and microcanonical) and not held
        measures.append(
            Measure(
                key=f"temperature.{name}",
                group="ensemble",
                label="temperature" if overall else f"temperature of {name}",
                unit="K",
                model=_known(mean),
                model_error=_known(error),
                reference=_known(beside[name][0]),
                reference_error=_known(beside[name][1]),
                deviation=_known(100.0 * deviation) if judged else None,
                deviation_error=_known(100.0 * deviation_error) if judged else None,
                threshold=100.0 * allowed if judged else None,
                threshold_unit="%",
                verdict=judge_deviation(deviation, deviation_error, allowed) if judged else "not judged",
                note="held by a thermostat of its own; its heat tells" if held else _note(overall, microcanonical, target),
            )
        )
    return measures


def heat_measures(model: Sample, thresholds: Thresholds) -> list[Measure]:
    """Heat that the thermostat of a simulation took out, which is what the dynamics brought: the drift that it would have without.

    Where a thermostat acts on every atom or element by itself, heat of the elements too, because there it shows what temperatures of
    elements cannot: whether the dynamics obeys equipartition. It is judged where each element is held by itself.

    Args:
        model: The trajectory that is judged.
        thresholds: The drift allowed.

    Returns:
        Nothing for trajectories that were not made by ``forcefree simulate`` with a thermostat.
    """
    taken = model.heat_taken
    apart = model.thermostat in ("csvr-elements", "langevin") and len(taken) > 2
    measures = []
    for name, rates in taken.items():
        overall = name == "all"
        if not overall and not apart:
            continue
        mean, error = mean_and_error(rates)
        judged = overall or model.thermostat == "csvr-elements"
        measures.append(
            Measure(
                key=f"heat.{name}",
                group="energy" if overall else "ensemble",
                label="heat that the thermostat takes out" + ("" if overall else f" of {name}"),
                unit="meV/atom/ps",
                model=_known(mean),
                model_error=_known(error),
                deviation=_known(abs(mean)) if judged else None,
                deviation_error=_known(error) if judged else None,
                threshold=thresholds.drift if judged else None,
                threshold_unit="meV/atom/ps",
                verdict=judge_deviation(abs(mean), error, thresholds.drift) if judged else "not judged",
                note="what the dynamics brings from nowhere" if overall else "what the dynamics brings from nowhere or from other elements",
            )
        )
    return measures


def _note(overall: bool, microcanonical: bool, target: float | None) -> str:
    if microcanonical:
        return "NVE keeps the energy, not the temperature" if overall else "against the trajectory's own mean"
    return f"target {target:g} K" if target is not None else "against the reference's mean"


def _known(value: float) -> float | None:
    return value if value == value else None


def _blocks(run: Trajectory, count: int) -> list[Trajectory]:
    size = max(1, len(run) // count)
    return [run.frames(start, start + size) for start in range(0, len(run) - size + 1, size)]
