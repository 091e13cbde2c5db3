"""Forecasts from a window of frames: the STI core on Lorenz-90, and ASTEROID on molecules beside baselines and TrajCast.

Needs held-out runs (``forcefree reference examples/ethanol/held-out.yaml``) and, for the ridge baseline, training runs. Models are given as
NAME=FILE; the same name several times is several training seeds. Each part can be left out, and the results of all parts are kept together.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from ase.data import atomic_masses
from rows import Table

from forcefree.benchmark.baselines import Predictor, RidgeForecast, ballistic, copy_last, hankel_dmd, quadratic
from forcefree.benchmark.forecast import Figure, Iterated, lorenz_figures, molecule_figures
from forcefree.benchmark.normal_modes import NormalModes
from forcefree.benchmark.windowed_arnn import ArnnForecast
from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.models.files import load
from forcefree.reference.config import CalculatorConfig
from forcefree.training.windows import window_source

HISTORY, HORIZON = 16, 32
MD17_SPACING = 1.0  # fs
LORENZ_SPACINGS = (0.01, 0.02)
LORENZ_FIRST = 100  # seeds below were looked at when the core was built


def baselines(training: list[Trajectory], timing: dict[str, float | int], horizon: float, windows: int) -> dict[str, list[Predictor]]:
    """Forecasts that need no network."""
    found: dict[str, list[Predictor]] = {
        "copy last": [copy_last],
        "ballistic": [ballistic],
        "quadratic": [quadratic],
        "Hankel-DMD": [hankel_dmd],
    }
    if training:
        source = window_source(training, horizon, timing, time_reversal=True, seed=7)
        found["ridge autoregression"] = [RidgeForecast.fit(source.draw(windows, 0))]
    return found


def models(pairs: list[str]) -> dict[str, list[Predictor]]:
    """Trained models by name, those of several seeds together."""
    found: dict[str, list[Predictor]] = {}
    for pair in pairs:
        name, _, rest = pair.partition("=")
        path, _, segment = rest.partition("@")
        found.setdefault(name, []).append(Iterated(load(path), int(segment) if segment else None))
    return found


def md17(path: Path) -> Trajectory:
    """The true MD17 window every second frame, 1 fs apart; a test only."""
    with np.load(path, allow_pickle=False) as data:
        times = np.arange(len(data["pos"])) * float(data["dt"])
        whole = Trajectory("ethanol", data["Z"], atomic_masses[data["Z"]], times, data["pos"], data["vel"].astype(np.float64))
    return whole.frames(0, len(whole), round(MD17_SPACING / whole.spacing))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lorenz", type=int, default=0, help="seeds on Lorenz-90; 0 leaves it out")
    parser.add_argument("--held-out", type=Path, help="held-out runs")
    parser.add_argument("--training", type=Path, nargs="*", default=[], help="training runs of the ridge baseline")
    parser.add_argument("--md17", type=Path, help="true MD17 ethanol window (npz), a test only")
    parser.add_argument("--spacing", type=float, default=1.0, help="fs between frames")
    parser.add_argument(
        "--model", action="append", default=[], help="NAME=FILE or NAME=FILE@FRAMES kept of each forecast; repeat for seeds"
    )
    parser.add_argument("--windows", type=int, default=256, help="windows per group of held-out runs")
    parser.add_argument("--few", type=int, default=0, help="windows for ARNN and normal modes; 0 leaves them out")
    parser.add_argument("--name", default="forecast", help="name of the results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(arguments.name)

    def add(figure: Figure) -> None:
        table.add(figure.name, figure.value, figure.unit, at_most=figure.at_most, seeds=figure.seeds, error=figure.error)

    if arguments.lorenz:
        for spacing in LORENZ_SPACINGS:
            for figure in lorenz_figures(range(LORENZ_FIRST, LORENZ_FIRST + arguments.lorenz), spacing=spacing):
                add(figure)
    horizon = HORIZON * arguments.spacing
    timing = {"history_length": HISTORY, "history_spacing": arguments.spacing}
    training = [run for path in arguments.training for run in read_store(path)]
    sets = {}
    if arguments.held_out:
        runs = list(read_store(arguments.held_out))
        sets[f"ethanol GFN2-xTB, {arguments.spacing:g} fs"] = [runs[index::3] for index in range(3)]
    if arguments.md17:
        sets[f"ethanol MD17 (true), {arguments.spacing:g} fs"] = [[md17(arguments.md17)]]
    for label, groups in sets.items():
        sources = [window_source(part, horizon, timing, time_reversal=False, seed=index) for index, part in enumerate(groups)]
        every = baselines(training, timing, horizon, 8 * arguments.windows) | models(arguments.model)
        for figure in molecule_figures(every, [source.draw(arguments.windows, 0) for source in sources], label):
            add(figure)
        if arguments.few:
            costly: dict[str, list[Predictor]] = {"ARNN": [ArnnForecast()], "normal modes": [NormalModes(CalculatorConfig())]}
            for figure in molecule_figures(costly, [source.draw(arguments.few, 1) for source in sources], label):
                add(figure)
    table.save()


if __name__ == "__main__":
    main()
