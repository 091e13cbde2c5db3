"""``forcefree benchmark``: published protocols, one command each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

benchmark = typer.Typer(no_args_is_help=True, help="Published benchmarks under their own protocols, each by one command.")


@benchmark.command("md17")
def md17(
    data: Annotated[Path, typer.Option(help="Folder with files md17_NAME.npz, published or surrogate.")],
    molecule: Annotated[list[str] | None, typer.Option(help="Names such as ethanol; all files of the folder if not given.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Models of the table, such as gfnode or egnn; all if not given.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="legacy (as published) or blocked (in time); both if not given.")] = None,
    sampling: Annotated[list[str] | None, typer.Option(help="uniform or irregular test times; both if not given.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Independent trainings of each model.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Most optimizer steps of each training.")] = 200,
    batch: Annotated[int, typer.Option(min=1, help="Starts per step.")] = 50,
    test: Annotated[int, typer.Option(min=1, help="Test starts; the protocol has 2000.")] = 2000,
    horizons: Annotated[bool, typer.Option(help="Follow the error from 0.5 fs to 1.5 ps too.")] = False,
    output: Annotated[Path, typer.Option(help="JSON file of results to write.")] = Path("md17.json"),
) -> None:
    """Train and test GF-NODE, its ablations and the baselines under the MD17 protocol.

    Heavy atoms alone, one frame with its velocity in, eight target times within 3,000 frames (1.5 ps) out, 500 training, 2000
    validation and 2000 test starts. Trainings see irregular times drawn anew for every step, and end early where the validation
    starts say so. S2S is the mean squared error per coordinate at the last time, S2T its mean over the eight,
    both in 1e-2 Å^2, as they lie and after superposition. Rows without skill come first.

    \b
    Examples:
      forcefree benchmark md17 --data md17
      forcefree benchmark md17 --data md17 --molecule ethanol --model gfnode --model egnn --split blocked
    """  # noqa: D301
    import torch

    from forcefree.benchmark.fitting import Recipe
    from forcefree.benchmark.md17 import Protocol, run_md17
    from forcefree.benchmark.md17_data import find_molecules
    from forcefree.benchmark.md17_models import models_named
    from forcefree.benchmark.table import Table
    from forcefree.memory import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    protocol = Protocol(
        models=models_named(model or []),
        splits=tuple(split or ("legacy", "blocked")),
        samplings=tuple(sampling or ("uniform", "irregular")),
        seeds=seeds,
        recipe=Recipe(steps=steps, batch=batch),
        horizons=horizons,
        test=test,
    )
    run_md17(find_molecules(data, molecule or []), protocol, Table(output.stem, output.parent))


@benchmark.command("md17-surrogate")
def md17_surrogate(
    fields: Annotated[list[Path], typer.Argument(help="sGDML models with training geometries, such as ethanol.npz.")],
    output: Annotated[Path, typer.Option(help="Folder to write md17_NAME.npz files to.")],
    frames: Annotated[int, typer.Option(help="Length of each trajectory; frames are 0.5 fs apart.")] = 250_000,
    seed: Annotated[int, typer.Option(min=0, help="Of starts, velocities and thermostat.")] = 0,
) -> None:
    """Make surrogates of MD17 trajectories: 500 K, CSVR, 0.5 fs, on sGDML fields.

    For those who cannot have the published files. Numbers found on a surrogate are not to be compared with published ones;
    every table says that it is one.

    \b
    Example:
      forcefree benchmark md17-surrogate ethanol.npz uracil.npz --output md17
    """  # noqa: D301
    from forcefree.benchmark.surrogate import make_surrogate

    for field in fields:
        path = output / f"md17_{field.name.split('.')[0]}.npz"
        temperature = make_surrogate(field, path, frames=frames, seed=seed)
        typer.echo(f"{path}: {frames} frames at {temperature:.1f} K")


@benchmark.command("forecast")
def forecast(
    lorenz: Annotated[int, typer.Option(min=0, help="Seeds of 90 coupled Lorenz variables, 15 steps ahead from 50 frames.")] = 0,
    held_out: Annotated[Path | None, typer.Option(help="Runs that no model saw, made by forcefree reference.")] = None,
    md17: Annotated[Path | None, typer.Option(help="Window of a published MD17 trajectory (npz with pos, vel, Z, dt).")] = None,
    training: Annotated[list[Path] | None, typer.Option(help="Runs to which the ridge baseline is fitted.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="NAME=FILE or NAME=FILE@FRAMES; repeat a name for training seeds.")] = None,
    spacing: Annotated[float, typer.Option(min=1e-3, help="fs between frames.")] = 1.0,
    windows: Annotated[int, typer.Option(min=1, help="Windows of each group of held-out runs.")] = 256,
    costly: Annotated[int, typer.Option(min=0, help="Windows for ARNN and normal modes.")] = 0,
    output: Annotated[Path, typer.Option(help="JSON file of results to write.")] = Path("forecast.json"),
) -> None:
    """Forecast the next frames from a window of frames, and compare with what needs no network.

    Lorenz: normalised RMSE of the STI core, its ablations, ARNN and copying. Molecules: MAE, RMSE, ADE and FDE in Å after 4, 8, 16 and
    32 steps, raw and superposed, of models used again and again on their own forecasts, beside copy-last, ballistic,
    quadratic, Hankel-DMD, ridge autoregression, ARNN and normal modes.

    \b
    Examples:
      forcefree benchmark forecast --lorenz 16
      forcefree benchmark forecast --held-out held-out.h5 --training reference.h5 --model trajcast=trajcast-ethanol --costly 3
    """  # noqa: D301
    import torch

    from forcefree.benchmark.forecast_run import ForecastProtocol, run_forecast
    from forcefree.benchmark.table import Table

    torch.set_num_threads(1)
    protocol = ForecastProtocol(
        lorenz=lorenz, held_out=held_out, md17=md17, training=tuple(training or ()), models=tuple(model or ()),
        spacing=spacing, windows=windows, costly=costly,
    )  # fmt: skip
    run_forecast(protocol, Table(output.stem, output.parent))


@benchmark.command("materials")
def materials(
    system: Annotated[str, typer.Argument(help="Name of the system; quartz and water have published figures beside them.")],
    model: Annotated[list[str], typer.Option(help="Model file or bundled name; repeat it for training seeds (single steps only).")],
    held_out: Annotated[Path | None, typer.Option(help="NVE runs that no model saw, made by forcefree reference.")] = None,
    time: Annotated[list[float] | None, typer.Option(help="fs, of single forecasts beside the held-out runs; t_max if not given.")] = None,
    windows: Annotated[int, typer.Option(min=1, help="Starts of single forecasts.")] = 1000,
    peer: Annotated[list[Path] | None, typer.Option(help="Reference YAML of another potential, run from the same starts.")] = None,
    pursuit: Annotated[str | None, typer.Option(help="Length of NVE rollouts beside the held-out runs, such as 1ps.")] = None,
    reference: Annotated[Path | None, typer.Option(help="NVT runs of the reference, for canonical rollouts.")] = None,
    propagator: Annotated[
        list[str] | None, typer.Option(help="direct:10 or reversible:20:1, in fs; repeatable; the card's own if not given.")
    ] = None,
    replicas: Annotated[int, typer.Option(min=1, help="Canonical rollouts.")] = 4,
    duration: Annotated[str, typer.Option(help="Of each canonical rollout.")] = "25ps",
    thermostat: Annotated[
        Literal["csvr", "csvr-elements", "langevin"],
        typer.Option(help="Of the canonical rollouts; csvr-elements acts on each element by itself."),
    ] = "csvr",
    thermostat_time: Annotated[str, typer.Option(help="Its relaxation time.")] = "100fs",
    rollouts: Annotated[
        Path | None, typer.Option(help="Folder that keeps the canonical rollouts; from there they go on when interrupted.")
    ] = None,
    large: Annotated[
        int, typer.Option(min=1, help="Repeat the reference's cell in each direction and make one canonical rollout of that instead.")
    ] = 1,
    cells: Annotated[list[int] | None, typer.Option(min=1, help="Repeats of the cell in each direction, for the table of speeds.")] = None,
    start: Annotated[str | None, typer.Option(help="Structure or bundled name of that cell; the runs' own if not given.")] = None,
    timestep: Annotated[str | None, typer.Option(help="Of the force network beside it, such as 1fs; the runs' own if not given.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor cores.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda, for the table of speeds.")] = "cpu",
    output: Annotated[Path, typer.Option(help="JSON file of results to write.")] = Path("materials.json"),
) -> None:
    """Judge a model of a crystal, a liquid or a molecule: single steps, rollouts, averages, and speed as the cell grows.

    Each part runs where its input is given. Single steps stand beside free flight, constant acceleration, and the reference at
    other time steps; canonical rollouts beside the reference and its own halves; speeds beside a network of like architecture
    that predicts forces at the reference's time step.

    \b
    Examples:
      forcefree benchmark materials quartz --model trajcast-quartz.safetensors --held-out quartz-held-out.h5 --time 10 --time 30
      forcefree benchmark materials quartz --model trajcast-quartz.safetensors --reference quartz-nvt.h5 --propagator direct:30
      forcefree benchmark materials quartz --model trajcast-quartz.safetensors --cells 1 --cells 3 --start quartz --timestep 1fs
    """  # noqa: D301
    import torch

    from forcefree.benchmark.canonical import CanonicalRun
    from forcefree.benchmark.materials import MaterialsProtocol, run_materials
    from forcefree.benchmark.propagation import Propagation
    from forcefree.benchmark.table import Table
    from forcefree.memory import keep_freed_memory
    from forcefree.units import femtoseconds

    keep_freed_memory()
    torch.set_num_threads(threads)
    protocol = MaterialsProtocol(
        name=system,
        models=tuple(model),
        held_out=held_out,
        times=tuple(time or ()),
        windows=windows,
        peers=tuple(peer or ()),
        pursuit=0.0 if pursuit is None else femtoseconds(pursuit),
        reference=reference,
        propagators=tuple(Propagation.parse(text) for text in propagator or ()),
        canonical=CanonicalRun(replicas, femtoseconds(duration), thermostat, femtoseconds(thermostat_time), rollouts=rollouts),
        large=large,
        cells=tuple(cells or ()),
        start=start,
        timestep=None if timestep is None else femtoseconds(timestep),
        device=device,
    )
    run_materials(protocol, Table(output.stem, output.parent))
