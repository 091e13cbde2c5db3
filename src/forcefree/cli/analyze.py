"""``forcefree analyze``: a trajectory beside its reference."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from forcefree.analysis import Analysis

_WIDTH_OF_FILES = 160


def analyze(
    trajectory: Annotated[Path, typer.Argument(help="H5MD trajectory to judge, with velocities.", show_default=False)],
    against: Annotated[
        str, typer.Option("--against", "-a", help="H5MD reference of the same system, or a bundled name.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for report.html, report.json and plots.")] = Path("report"),
    calculator: Annotated[
        str,
        typer.Option(
            "--calculator",
            "-c",
            help="For true energies: 'stored' (the reference's own), a name such as gfn2-xtb, package.module:Class, or 'none'.",
        ),
    ] = "stored",
    temperature: Annotated[
        float | None, typer.Option("--temperature", "-t", help="K; needed where the trajectory holds runs at several temperatures.")
    ] = None,
    discard: Annotated[str, typer.Option("--discard", help="Start of each run that is left out, such as 10% or 5ps.")] = "10%",
    samples: Annotated[int, typer.Option("--samples", min=20, help="Frames whose true energy is computed.")] = 400,
    workers: Annotated[int, typer.Option("--workers", "-j", min=1, help="Processes that compute true energies.")] = 1,
    splits: Annotated[int, typer.Option("--splits", min=1, help="Random halves of the reference.")] = 10,
    seed: Annotated[int, typer.Option("--seed", help="Of the random halves.")] = 0,
) -> None:
    """Say, against a reference, whether a trajectory can be trusted, in one HTML page.

    Temperatures of every element, true energies, vibrations, structure and diffusion, each beside the reference and
    beside what two halves of the reference differ by.

    \b
    Examples:
      forcefree analyze traj.h5 --against reference.h5
      forcefree analyze traj.h5 --against ethanol-nvt-300K
      forcefree analyze traj.h5 --against reference.h5 --discard 5ps --output report-300K
      forcefree analyze nve.h5 --against reference.h5 --temperature 300 --samples 1000 --workers 4
    """  # noqa: D301
    from rich.console import Console

    from forcefree.analysis import analyze as run_analysis
    from forcefree.report import write_report

    console = Console(stderr=True)
    with console.status("analysis") as status:
        found = run_analysis(
            trajectory, against, calculator=calculator, temperature=temperature, discard=discard, samples=samples, workers=workers,
            splits=splits, seed=seed, progress=lambda stage: status.update(f"analysis: {stage}"),
        )  # fmt: skip
        status.update("analysis: writing the report")
        page = write_report(found, output)
    printed = Console() if sys.stdout.isatty() else Console(width=_WIDTH_OF_FILES)
    printed.print(_table(found))
    printed.print(found.conclusion, markup=False, highlight=False)
    printed.print(f"Report: {page}", soft_wrap=True)


def _table(found: Analysis) -> Table:
    from rich.table import Table

    from forcefree.report.page import number, value

    table = Table(box=None, pad_edge=False)
    for heading in ("measure", "trajectory", "reference", "deviation", "ceiling", "threshold", "verdict"):
        table.add_column(heading, overflow="fold")
    for measure in found.measures:
        unit = measure.threshold_unit if measure.deviation is not None else ""
        table.add_row(
            f"{measure.label} / {measure.unit}" if measure.unit else measure.label,
            value(measure.model, measure.model_error),
            value(measure.reference, measure.reference_error),
            f"{value(measure.deviation, measure.deviation_error)} {unit}",
            number(measure.ceiling),
            f"{number(measure.threshold)} {unit}",
            measure.verdict,
        )
    return table
