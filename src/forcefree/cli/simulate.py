"""``forcefree simulate``: trajectories without forces."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forcefree.cli.failures import ALL_STOPPED

if TYPE_CHECKING:
    from forcefree.simulation.progress import ProgressCallback
    from forcefree.simulation.simulate import Simulation


def simulate(
    model: Annotated[str, typer.Argument(help="Model file, or the name of a bundled model such as trajcast-ethanol.")],
    start: Annotated[
        str,
        typer.Argument(
            help="Structure file, or a bundled or ASE name such as ethanol; or a trajectory (.h5), to go on from the last frame of each of its replicas."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Trajectory: .h5 (H5MD) or .extxyz. A .csv log is kept beside it.")],
    duration: Annotated[str, typer.Option(help="Recorded time per replica, such as 50ps or 1ns.")],
    ensemble: Annotated[str, typer.Option(help="nvt (with a thermostat) or nve.")] = "nvt",
    temperature: Annotated[float | None, typer.Option(help="K; velocities are drawn at it.")] = None,
    replicas: Annotated[int, typer.Option(help="Independent copies that advance together.")] = 1,
    equilibration: Annotated[str, typer.Option(help="Time before recording, such as 5ps; 0 for none.")] = "0",
    thermostat: Annotated[
        str | None, typer.Option(help="csvr, csvr-elements (each element by itself) or langevin; csvr by default.")
    ] = None,
    thermostat_time: Annotated[str | None, typer.Option(help="Relaxation time of the thermostat; 1ps by default.")] = None,
    propagator: Annotated[str, typer.Option(help="auto (what the model recommends), direct, reversible or window.")] = "auto",
    interval: Annotated[str | None, typer.Option(help="Length of a step, such as 10fs; the model's recommendation by default.")] = None,
    corrections: Annotated[int | None, typer.Option(help="Fixed-point corrections of the reversible propagator.")] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="meV per degree of freedom: steps whose total energy changes more, by the model's energy head, are halved; each half has "
            "the whole tolerance again."
        ),
    ] = None,
    halvings: Annotated[int | None, typer.Option(help="How often a step may be halved for the tolerance; 3 times by default.")] = None,
    keep_energy: Annotated[
        bool | None,
        typer.Option(
            help="Scale velocities after every step so that the dynamics keeps the total energy, by the model's energy head; where the model "
            "recommends it by default."
        ),
    ] = None,
    bootstrap: Annotated[
        str | None, typer.Option(help="Who makes the first frames of a model that needs several: a model of one frame, or reference.")
    ] = None,
    save_every: Annotated[
        str | None, typer.Option(help="Time between frames; may be shorter than a step, such as 2fs for spectra.")
    ] = None,
    log_every: Annotated[str | None, typer.Option(help="Time between rows of the CSV log.")] = None,
    velocities: Annotated[
        str | None, typer.Option(help="maxwell-boltzmann, or start for those of the start; drawn by default where there is a temperature.")
    ] = None,
    rotation: Annotated[bool | None, typer.Option(help="Let isolated molecules rotate.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    guards: Annotated[bool, typer.Option(help="Stop replicas that leave what training saw.")] = True,
    compile: Annotated[  # noqa: A002 (the option's name)
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile forecasts; for long runs by default where there is a C++ compiler."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint; with a longer --duration, extend the run.")] = False,
) -> None:
    """Simulate replicas of a system with a trained model.

    The trajectory is H5MD or extended XYZ, with a CSV log and a checkpoint beside it. A run that was stopped, even
    killed, goes on with --resume and ends with the same frames as if it had not been. A replica that leaves the world of
    the training data is stopped with a sentence; the others go on. Where all are stopped the exit code is 1.

    \b
    Examples:
      forcefree simulate trajcast-ethanol ethanol --temperature 300 --duration 1ns --replicas 64 -o traj.h5
      forcefree simulate trajcast-ethanol ethanol --temperature 300 --duration 20ps --save-every 2fs -o spectrum.h5
      forcefree simulate my.safetensors start.xyz --ensemble nve --temperature 300 --duration 50ps -o nve.extxyz
      forcefree simulate trajcast-ethanol ethanol --temperature 300 --duration 2ns --replicas 64 -o traj.h5 --resume
      forcefree simulate trajcast-ethanol traj.h5 --ensemble nve --duration 50ps -o nve.h5
    """  # noqa: D301 (\\b is for the command line's help)
    from forcefree.simulation.simulate import simulate as run

    options: dict[str, Any] = {
        "ensemble": ensemble,
        "temperature": temperature,
        "duration": duration,
        "equilibration": 0.0 if equilibration == "0" else equilibration,
        "replicas": replicas,
        "velocities": velocities,
        "rotation": rotation,
        "propagator": propagator,
        "corrections": corrections,
        "tolerance": tolerance,
        "halvings": halvings,
        "keep_energy": keep_energy,
        "bootstrap": bootstrap,
        "guards": guards,
        "compile": compile,
        "seed": seed,
        "device": device,
    }
    given = {
        "thermostat": thermostat,
        "thermostat_time": thermostat_time,
        "interval": interval,
        "save_every": save_every,
        "log_every": log_every,
    }
    options |= {key: value for key, value in given.items() if value is not None}
    try:
        with _bar() as tell:
            result = run(model, start, output=output, resume=resume, progress=tell, notice=partial(typer.echo, err=True), **options)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; go on with the same command and --resume (checkpoint beside {output})", err=True)
        raise typer.Exit(130) from None
    _tell_end(result, model)


class _bar:  # noqa: N801 (used as a function)
    """A progress bar with speed and time left, on the screen of whoever waits."""

    def __enter__(self) -> ProgressCallback:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.fields[time]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("simulation", total=None, time="starting", speed="")
        return self._update

    def __exit__(self, *_: object) -> None:
        if self._progress.live.is_started:  # what is refused before the first step leaves no empty line on the screen
            self._progress.stop()

    def _update(self, report: Any) -> None:
        self._progress.start()
        phase = "equilibrating" if report.time < 0 else f"{report.time / 1000.0:.1f} ps"
        speed = f"{report.ns_per_day:.1f} ns/day in all, {report.temperature:.0f} K, {report.running} running"
        self._progress.update(self._task, total=report.total, completed=report.step, time=phase, speed=speed)


def _tell_end(result: Simulation, model: str) -> None:
    """Say how it went.

    Raises:
        typer.Exit: With code 1 where every replica was stopped.
    """
    for sentence in result.stopped.values():
        typer.echo(sentence, err=True)
    if result.halved is not None:
        typer.echo(
            f"{result.halved} segments were done again in halves; {result.over_tolerance} of the shortest, {result.propagator['shortest']:g} "
            "fs, were still beyond the tolerance"
        )
    if result.energy_drift:
        rates = list(result.energy_drift.values())
        kept = "; what the model added to it was taken out after every step" if result.kept_energy else ""
        typer.echo(
            f"total energy by the energy head: {sum(rates) / len(rates):+.3g} meV/atom/ps on average over {_replicas(len(rates))}{kept}"
        )
    if result.heat:
        from forcefree.analysis.verdict import mean_and_error

        mean, error = mean_and_error([rates["all"] for rates in result.heat.values()])
        known, unknown = (f" ± {error:.2g}", "") if math.isfinite(error) else ("", "; only several tell its error")
        typer.echo(f"heat that the forecasts made: {mean:+.3g}{known} meV/atom/ps on average over {_replicas(len(result.heat))}{unknown}")
    if len(result.stopped) == result.state.n_systems:
        _tell_loss(result, model)
        raise typer.Exit(ALL_STOPPED)
    lost = f", {len(result.stopped)} of {result.state.n_systems} stopped before" if result.stopped else ""
    speed = f"{result.ns_per_day:.1f} ns/day in all" if result.ns_per_day else "nothing was left to do"
    typer.echo(
        f"{_replicas(result.state.n_systems)} to {result.time / 1000.0:g} ps with {result.propagator['name']} steps of "
        f"{result.propagator['interval']:g} fs{lost}; {speed}; frames in {result.output}, log in {result.log}"
    )


def _tell_loss(result: Simulation, model: str) -> None:
    """Say what is left where no replica is."""
    count, reached = result.state.n_systems, float(result.state.time.max())
    who = "the only replica was" if count == 1 else f"all {count} replicas were"
    when = f"{', the last' if count > 1 else ''} after {reached / 1000.0:g} ps" if reached >= 0.0 else " while equilibrating"
    left = f"frames until then in {result.output}, log in {result.log}" if reached >= 0.0 else f"no frame was recorded, log in {result.log}"
    typer.echo(f"{who} stopped{when}; this is probably not a molecule or geometry that {model} was trained on; {left}", err=True)


def _replicas(count: int) -> str:
    return "1 replica" if count == 1 else f"{count} replicas"
