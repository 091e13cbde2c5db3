"""``forcefree train``: from trajectories to a model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from forcefree.models.card import Card

NO_SKILL = 0.9
"""One-step error, relative to that of free flight, from which on a model is no use."""


def train(
    config: Annotated[Path, typer.Argument(help="YAML file that says what to train on what.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint; the result is that of an uninterrupted run.")
    ] = False,
    initial: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="Go on from a model file or bundled name, instead of the file's initial.")
    ] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Train a forecaster on trajectories, and write its model file and a training report.

    Checkpoints, a CSV log and a TensorBoard log go to a folder beside the model file. Training stops early when neither
    the one-step error nor the error of short rollouts on held-out runs gets better.

    \b
    Example of a configuration (every key is in the documentation):
      data: {files: [ethanol.h5], split: trajectory, time_reversal: true}
      model: {name: my-ethanol, architecture: trajcast, t_max: 10 fs}
      optimizer: {steps: 20000, batch: 64}
      output: my-ethanol.safetensors

    \b
    Examples:
      forcefree train train.yaml
      forcefree train train.yaml --resume
      forcefree train my-molecule.yaml --from my-ethanol.safetensors
      tensorboard --logdir my-ethanol.training
    """  # noqa: D301
    from lightning.pytorch.utilities import rank_zero_only
    from rich.console import Console

    from forcefree.models.files import read_card
    from forcefree.training.config import TrainingConfig
    from forcefree.training.run import train as run

    settings = TrainingConfig.read(config)
    if initial is not None:
        settings = TrainingConfig.parse({**settings.model_dump(mode="json"), "initial": initial}, "--from")
    model = run(settings, resume=resume, progress=progress)
    if rank_zero_only.rank != 0:  # one of several processes that Lightning started with this same command
        return
    console = Console(soft_wrap=True)
    console.print(f"model: {model}", highlight=False)
    console.print(f"logs and training report: {settings.folder}", highlight=False)
    _tell_errors(read_card(model))
    console.print(f"next: forcefree simulate {model} START --temperature 300 --duration 50ps --output traj.h5", highlight=False)


def _tell_errors(card: Card) -> None:
    """The errors on held-out data in one line, and a warning where they are no better than those of free flight."""
    found = card.training["validation"]
    position, velocity, one_step = (found[name] for name in ("val_position_mae", "val_velocity_percent", "val_one_step"))
    typer.echo(f"held out, {card.t_max:g} fs ahead: positions {position:.3g} Å, velocities {velocity:.3g} %, val_one_step {one_step:.3g}")
    if one_step >= NO_SKILL:
        typer.echo(
            f"warning: val_one_step of {one_step:.3g} is hardly better than free flight, which has 1; do not simulate with this model, train it "
            "for more steps or on more data, or look at its learning rate",
            err=True,
        )
