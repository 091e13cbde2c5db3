"""One run of ``forcefree benchmark forecast``: what is forecast, by whom, and the table that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_masses
from numpy.typing import NDArray

from forcefree.benchmark.baselines import Predictor, RidgeForecast, ballistic, copy_last, hankel_dmd, quadratic
from forcefree.benchmark.forecast import Figure, Iterated, lorenz_figures, molecule_figures
from forcefree.benchmark.normal_modes import NormalModes
from forcefree.benchmark.table import Table
from forcefree.benchmark.windowed_arnn import ArnnForecast
from forcefree.data.h5md import read_store
from forcefree.data.importing.archive import Archive
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.files import load
from forcefree.reference.config import CalculatorConfig
from forcefree.training.windows import Windows, window_source

HISTORY, HORIZON = 16, 32
LORENZ_SPACINGS = (0.01, 0.02)
FIRST_SEED = 200  # seeds below were looked at when the core was built
_GROUPS = 3  # disjoint sets of held-out runs, whose scatter is the error of a row
_TRAINING_SHARE = 8  # windows of the ridge baseline for one of the test


@dataclass(frozen=True)
class ForecastProtocol:
    """What is to be done; each part can be left out.

    Attributes:
        lorenz: Seeds of coupled Lorenz systems.
        held_out: Runs that no model saw.
        md17: Window of a published MD17 trajectory (npz with pos, vel, Z, dt), a test only.
        training: Runs to which the ridge baseline is fitted.
        models: NAME=FILE or NAME=FILE@FRAMES kept of each forecast; several of a name are training seeds.
        spacing: fs between frames.
        windows: Windows of each group of held-out runs.
        costly: Windows for ARNN and normal modes; zero leaves them out.
        normal_modes: Whether normal modes of GFN2-xTB are among them; they say little where another level of theory moved the atoms.
    """

    lorenz: int = 0
    held_out: Path | None = None
    md17: Path | None = None
    training: tuple[Path, ...] = ()
    models: tuple[str, ...] = ()
    spacing: float = 1.0
    windows: int = 256
    costly: int = 0
    normal_modes: bool = True


def run_forecast(protocol: ForecastProtocol, table: Table) -> None:
    """Fill the table part by part and save it after each.

    Raises:
        ForcefreeError: If nothing is asked for, or a file or a model cannot be used.
    """
    if not (protocol.lorenz or protocol.held_out or protocol.md17):
        raise ForcefreeError("nothing to forecast; ask for --lorenz seeds, --held-out runs or an --md17 window")
    named = named_models(protocol.models)
    seeds = range(FIRST_SEED, FIRST_SEED + protocol.lorenz)
    for spacing in LORENZ_SPACINGS if protocol.lorenz else ():
        for figure in lorenz_figures(seeds, spacing=spacing):
            _add(table, figure)
        table.save()
    timing = {"history_length": HISTORY, "history_spacing": protocol.spacing}
    horizon = HORIZON * protocol.spacing
    quick = _baselines(protocol, timing, horizon) | named
    for label, groups in _groups(protocol).items():
        sources = [window_source(part, horizon, timing, time_reversal=False, seed=index) for index, part in enumerate(groups)]
        for figure in molecule_figures(quick, [source.draw(protocol.windows, 0) for source in sources], label):
            _add(table, figure)
        if protocol.costly:
            costly: dict[str, list[Predictor]] = {"ARNN": [ArnnForecast()]}
            if protocol.normal_modes:
                costly["normal modes"] = [NormalModes(CalculatorConfig())]
            few: list[Windows] = [source.draw(protocol.costly, 1) for source in sources]
            for figure in molecule_figures(costly, few, label):
                _add(table, figure)
        table.save()


def named_models(pairs: tuple[str, ...]) -> dict[str, list[Predictor]]:
    """Forecasters by name.

    Args:
        pairs: NAME=FILE or NAME=FILE@FRAMES.

    Raises:
        ForcefreeError: If a pair cannot be read or there is no such model.
    """
    found: dict[str, list[Predictor]] = {}
    for pair in pairs:
        name, given, rest = pair.partition("=")
        path, _, segment = rest.partition("@")
        if not name or not given or not path or (segment and not segment.isdigit()):
            raise ForcefreeError(f"a model is given as NAME=FILE or NAME=FILE@FRAMES, such as trajcast=trajcast-ethanol, not '{pair}'")
        kept = int(segment) if segment else None
        if kept == 0:
            raise ForcefreeError(f"'{pair}' keeps 0 frames of each forecast; keep at least 1, or leave @0 out to keep all")
        found.setdefault(name, []).append(Iterated(load(path), kept))
    return found


def read_window(path: Path, spacing: float) -> Trajectory:
    """A window of a published trajectory, thinned to ``spacing`` fs.

    Raises:
        ForcefreeError: If the file does not hold one, its frames are no divisor of ``spacing`` apart, or too few.
    """
    arrays = _arrays(path)
    own = float(arrays["dt"].item())
    stride = round(spacing / own)
    if stride < 1 or abs(stride * own - spacing) > 1e-6 * spacing:
        raise ForcefreeError(f"the frames of {path} are {own:g} fs apart, which is no divisor of {spacing:g} fs")
    numbers = arrays["Z"].astype(np.int64)
    times = own * np.arange(len(arrays["pos"]), dtype=np.float64)
    positions, velocities = arrays["pos"].astype(np.float64), arrays["vel"].astype(np.float64)
    whole = Trajectory(path.stem, numbers, atomic_masses[numbers], times, positions, velocities)
    thinned = whole.frames(0, len(whole), stride)
    if len(thinned) < HISTORY + HORIZON:
        raise ForcefreeError(f"{path} has {len(thinned)} frames {spacing:g} fs apart; a window needs {HISTORY + HORIZON} at least")
    return thinned


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of a window, with the shapes that belong together.

    Raises:
        ForcefreeError: If they are not there or do not belong together.
    """
    with Archive(path) as data:
        missing = {"pos", "vel", "Z", "dt"} - set(data.keys)
        if missing:
            raise ForcefreeError(f"{path} has no arrays {', '.join(sorted(missing))}; a window has pos, vel, Z and dt")
        arrays = {name: data[name] for name in ("pos", "vel", "Z", "dt")}
    numbers, shapes = arrays["Z"], {name: array.shape for name, array in arrays.items()}
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not ((numbers > 0) & (numbers < len(atomic_masses))).all():
        raise ForcefreeError(f"Z of {path} must be a list of atomic numbers, not {numbers.dtype} of shape {numbers.shape}")
    for name in ("pos", "vel"):
        if arrays[name].dtype.kind != "f" or shapes[name] != (len(arrays["pos"]), len(numbers), 3):
            raise ForcefreeError(
                f"{name} of {path} must be floats of shape (frames, {len(numbers)}, 3), as many frames in pos and vel, "
                f"not {arrays[name].dtype} of shape {shapes[name]}"
            )
    if arrays["dt"].size != 1 or arrays["dt"].dtype.kind not in "iuf" or not float(arrays["dt"].item()) > 0.0:
        raise ForcefreeError(f"dt of {path} must be one positive time in fs, not {arrays['dt']}")
    return arrays


def _groups(protocol: ForecastProtocol) -> dict[str, list[list[Trajectory]]]:
    """Disjoint sets of trajectories by what they are."""
    found: dict[str, list[list[Trajectory]]] = {}
    if protocol.held_out:
        runs = list(read_store(protocol.held_out))
        groups = min(_GROUPS, len(runs))
        found[f"{protocol.held_out.stem}, {protocol.spacing:g} fs"] = [runs[index::groups] for index in range(groups)]
    if protocol.md17:
        found[f"MD17 (true) {protocol.md17.stem}, {protocol.spacing:g} fs"] = [[read_window(protocol.md17, protocol.spacing)]]
    return found


def _baselines(protocol: ForecastProtocol, timing: dict[str, float | int], horizon: float) -> dict[str, list[Predictor]]:
    """Forecasts that need no network and little time."""
    found: dict[str, list[Predictor]] = {
        "copy last": [copy_last],
        "ballistic": [ballistic],
        "quadratic": [quadratic],
        "Hankel-DMD": [hankel_dmd],
    }
    training = [run for path in protocol.training for run in read_store(path)]
    if training:
        source = window_source(training, horizon, timing, time_reversal=True, seed=7)
        found["ridge autoregression"] = [RidgeForecast.fit(source.draw(_TRAINING_SHARE * protocol.windows, 0))]
    return found


def _add(table: Table, figure: Figure) -> None:
    table.add(figure.name, figure.value, figure.unit, at_most=figure.at_most, seeds=figure.seeds, error=figure.error)
