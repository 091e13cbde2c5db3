"""``forcefree reference``: true trajectories, made with any ASE calculator, LAMMPS or OpenMM."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forcefree.reference.summary import TemperatureSummary


def reference(
    config: Annotated[Path, typer.Argument(help="YAML file that says what to make.")],
    workers: Annotated[int | None, typer.Option("--workers", "-w", help="Processes side by side, instead of the file's number.")] = None,
) -> None:
    """Make reference trajectories: many independent runs, equilibrated with Langevin, recorded as NVE or NVT.

    Runs go on in parallel, with one BLAS thread each. Killed at any point, the same command continues, and ends with
    the same frames as if nothing had happened; the number of workers changes nothing but the time.

    \b
    Example of a configuration (every key is in the documentation):
      calculator: {name: gfn2-xtb}
      start: {name: ethanol}
      temperatures: [300, 500]
      runs_per_temperature: 8
      timestep: 0.5 fs
      equilibration: {duration: 1 ps}
      recording: {ensemble: nve, duration: 5 ps, every: 1 fs}
      workers: 2
      output: ethanol.h5

    \b
    Examples:
      forcefree reference ethanol.yaml
      forcefree reference ethanol.yaml --workers 16
    """  # noqa: D301
    from forcefree.reference.campaign import make_reference
    from forcefree.reference.config import ReferenceConfig
    from forcefree.reference.summary import summarize

    settings = ReferenceConfig.read(config)
    if workers is not None:
        settings = ReferenceConfig.parse({**settings.model_dump(), "workers": workers}, "--workers")
    with _FrameBar() as bar:
        store = make_reference(settings, bar.update)
    _show(summarize(store), store)


class _FrameBar:
    """Progress bar whose ETA counts only what this call adds, also when it continues an earlier one."""

    def __enter__(self) -> _FrameBar:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("frames, elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            speed_estimate_period=120.0,
        )
        return self

    def update(self, done: int, total: int) -> None:
        """Show how many frames of how many are written."""
        if not self._progress.tasks:
            self._progress.start()
            self._progress.add_task("reference", total=total, completed=done)
        self._progress.update(self._progress.task_ids[0], completed=done)

    def __exit__(self, *exception: object) -> None:
        if self._progress.tasks:
            self._progress.stop()


def _show(summaries: Sequence[TemperatureSummary], store: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=str(store))
    for column in ("target T / K", "runs", "frames", "mean T / K", "energy drift / (meV/atom/ps)"):
        table.add_column(column, justify="right")
    for row in summaries:
        drift = "-" if row.drift is None else f"{row.drift:.3g}"
        mean = f"{row.mean_temperature:.1f}" + (f" ± {row.error:.1f}" if row.runs > 1 else "")
        table.add_row(f"{row.temperature:g}", str(row.runs), str(row.frames), mean, drift)
    console = Console()
    console.print(table)
    for row in summaries:
        if row.warning is not None:
            typer.echo(f"warning: {row.warning}", err=True)
    with store.open("rb") as file:
        console.print(f"sha256: {hashlib.file_digest(file, 'sha256').hexdigest()}", highlight=False, soft_wrap=True)
