"""The command ``forcefree``: every command registered, every mendable failure turned into a sentence."""

from __future__ import annotations

from typing import Annotated

import typer

from forcefree.cli.analyze import analyze
from forcefree.cli.benchmark import benchmark
from forcefree.cli.failures import SentenceGroup
from forcefree.cli.importing import import_command
from forcefree.cli.models import list_models, show_model
from forcefree.cli.reference import reference
from forcefree.cli.simulate import simulate
from forcefree.cli.train import train

app = typer.Typer(
    cls=SentenceGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(no_args_is_help=True, help="What models there are, and what each was trained on.")

app.command("reference")(reference)
app.command("import")(import_command)
app.command("train")(train)
app.command("simulate")(simulate)
app.command("analyze")(analyze)
models.command("list")(list_models)
models.command("show")(show_model)
app.add_typer(models, name="models")
app.add_typer(benchmark, name="benchmark")


def _print_version(wanted: bool) -> None:
    if wanted:
        from forcefree import __version__

        typer.echo(f"forcefree {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    """Force-free molecular dynamics: learn the flow map of a molecule, run it, and learn whether to trust it.

    \b
    The main job, from a molecule and a reference potential to a report:
      forcefree reference reference.yaml
      forcefree train train.yaml
      forcefree simulate model.safetensors start.xyz --temperature 300 --duration 50ps --output traj.h5
      forcefree analyze traj.h5 --against reference.h5 --output report

    \b
    With a bundled model, nothing to train:
      forcefree simulate trajcast-ethanol ethanol --temperature 300 --duration 50ps --output traj.h5
      forcefree analyze traj.h5 --against ethanol-nvt-300K --output report
    """  # noqa: D301


def run() -> None:
    """Entry point of the console script."""
    app()
