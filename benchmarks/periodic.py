"""Structure and motion of a periodic system: NVE rollouts of a model beside reference runs that it never saw.

The second half of the reference runs gives the starts; the rollouts, these runs themselves (the ceiling) and free flight (the row
without skill) are each set beside the first half. Radial distribution functions are compared by the area between them over the area
below the reference's; mean square displacements by their mean over the lags, diffusion coefficients by their slope.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rows import Table

from forcefree.analysis.transport import diffusion_coefficient, element_displacements
from forcefree.analysis.verdict import mean_and_error
from forcefree.benchmark.bulk import energy_drift, follow, free_flight, radial_distance
from forcefree.benchmark.propagation import Propagation
from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.models.files import load
from forcefree.reference.config import CalculatorConfig
from forcefree.reference.summary import temperatures
from forcefree.units import femtoseconds


def moved(runs: Sequence[Trajectory], *, fluid: bool) -> tuple[float, float]:
    """Diffusion coefficient of a fluid in cm^2/s, of a solid its mean square displacement in Å^2 averaged over lags, means over elements.

    With the error over runs; the elements of one run are no independent values.
    """

    def value(displacement: Floats, spacing: float) -> float:
        return diffusion_coefficient(displacement, spacing) if fluid else float(displacement[1 : len(displacement) // 2].mean())

    return mean_and_error([float(np.mean([value(one, run.spacing) for one in element_displacements(run).values()])) for run in runs])


def compare(table: Table, label: str, runs: Sequence[Trajectory], truth: Sequence[Trajectory], *, fluid: bool, judged: bool) -> None:
    """The figures of one side beside the truth."""
    distance, error = radial_distance(runs, truth)
    table.add(f"{label}: RDF L1 distance", distance, "%", at_most=2.0 if judged else None, seeds=len(runs), error=error)
    (value, value_error), (base, base_error) = moved(runs, fluid=fluid), moved(truth, fluid=fluid)
    noun = "diffusion coefficient" if fluid else "mean square displacement"
    relative = 100.0 * float(np.hypot(value_error / base, base_error * value / base**2))
    table.add(
        f"{label}: {noun}, deviation",
        100.0 * (value / base - 1.0),
        "%",
        at_most=10.0 if judged else None,
        seeds=len(runs),
        error=relative,
    )
    table.add(f"{label}: {noun}", 1e5 * value if fluid else value, "1e-5 cm^2/s" if fluid else "Å^2", seeds=len(runs))
    warm = [float(temperatures(run).mean()) for run in runs]
    table.add(f"{label}: temperature", mean_and_error(warm)[0], "K", seeds=len(runs), error=mean_and_error(warm)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of the system, and of the table")
    parser.add_argument("--model", required=True)
    parser.add_argument("--held-out", type=Path, required=True, help="NVE runs of the reference, no less than four")
    parser.add_argument("--propagators", nargs="+", default=["direct:10", "reversible:10:1"])
    parser.add_argument("--duration", help="compare only the beginning of the runs, such as 2ps")
    parser.add_argument("--fluid", action="store_true", help="diffusion instead of the amplitude of vibration")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.model)
    runs = list(read_store(arguments.held_out))
    if arguments.duration is not None:
        runs = [run.frames(0, round(femtoseconds(arguments.duration) / run.spacing) + 1) for run in runs]
    truth, ceiling = runs[: len(runs) // 2], runs[len(runs) // 2 :]
    calculator = CalculatorConfig.model_validate(truth[0].provenance["calculator"])
    table = Table(f"periodic_{arguments.name}")
    fluid = arguments.fluid
    compare(table, "reference beside reference", ceiling, truth, fluid=fluid, judged=False)
    compare(table, "no skill, free flight", [free_flight(run) for run in ceiling], truth, fluid=fluid, judged=False)
    for how in map(Propagation.parse, arguments.propagators):
        found, lost = follow(model, ceiling, how)
        table.add(f"{how.label}: replicas lost", lost, f"of {len(ceiling)}", at_most=0, seeds=len(ceiling))
        if len(found) < 2:
            continue
        compare(table, how.label, found, truth, fluid=fluid, judged=True)
        slope, error = energy_drift(found, calculator)
        table.add(f"{how.label}: energy drift", slope, "meV/atom/ps", seeds=len(found), error=error)
        table.save()
    table.save()


if __name__ == "__main__":
    main()
