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
    target. An NVE trajectory is free to have any mean temperature, so that its elements are held to its own.

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
        judged = not (overall and microcanonical)
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
                note=_note(overall, microcanonical, target),
            )
        )
    return measures


def heat_measures(model: Sample) -> list[Measure]:
    """Heat that the forecasts made, which the thermostat took out; told, not judged.

    Args:
        model: The trajectory that is judged.

    Returns:
        One measure of the whole, and one of every element where the thermostat acts on each by itself; nothing for trajectories that were
        not made by ``forcefree simulate`` with a thermostat, from equilibrium.
    """
    measures = []
    heat = model.heat
    for name, rates in heat.items() if len(heat) != 2 else [("all", heat["all"])]:  # two are a whole of one element
        mean, error = mean_and_error(rates)
        whole = name == "all"
        measures.append(
            Measure(
                key=f"heat.{name}",
                group="ensemble",
                label="heat that the forecasts make" if whole else f"heat that the forecasts bring to {name}",
                unit="meV/atom/ps",
                model=_known(mean),
                model_error=_known(error),
                note="the thermostat takes it out" if whole else "from nowhere, or from other elements; the thermostat takes it out",
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
