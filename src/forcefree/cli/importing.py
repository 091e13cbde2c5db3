"""``forcefree import``: existing trajectories into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from forcefree.data.importing.summary import Summary


def import_command(
    sources: Annotated[list[Path], typer.Argument(help="Trajectory files; each becomes one or more trajectories of the store.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="H5MD file to write.")],
    format: Annotated[  # noqa: A002
        Literal["auto", "extxyz", "traj", "h5md", "md17", "rmd17", "md22", "npz", "lammps", "xtc", "dcd", "trr"],
        typer.Option(help="Format of the files; auto goes by suffix and content."),
    ] = "auto",
    topology: Annotated[Path | None, typer.Option(help="Structure with the elements (PDB, PSF, TPR), for XTC, DCD and TRR.")] = None,
    timestep: Annotated[
        str | None, typer.Option(help="Time between frames, such as '0.5 fs'; for LAMMPS dumps, the integrator's time step.")
    ] = None,
    units: Annotated[Literal["real", "metal"] | None, typer.Option(help="Units of a LAMMPS dump.")] = None,
    length_unit: Annotated[str | None, typer.Option(help="A, nm or bohr, where the format does not fix it.")] = None,
    velocity_unit: Annotated[str | None, typer.Option(help="A/fs, A/ps, nm/ps, ase, ..., where the format does not fix it.")] = None,
    energy_unit: Annotated[str | None, typer.Option(help="eV, kcal/mol, kJ/mol or hartree, where the format does not fix it.")] = None,
    elements: Annotated[str | None, typer.Option(help="Element of each LAMMPS type or H5MD species ('Si,O'), or of each atom.")] = None,
    velocities: Annotated[
        Literal["auto", "derive", "none"],
        typer.Option(help="auto keeps recorded ones and derives missing ones by central differences; derive; none."),
    ] = "auto",
    name: Annotated[str | None, typer.Option(help="Name of the trajectory in the store; the file's name when not given.")] = None,
    max_temperature: Annotated[float, typer.Option(help="Hotter velocities (K) are taken for a mix-up of units.")] = 10_000.0,
) -> None:
    """Turn existing trajectories into a store that forcefree trains on and compares with.

    Periodic positions are unwrapped, missing velocities are derived by central differences and marked as derived, and
    units are never guessed: where a format does not fix them, say them.

    \b
    Examples:
      forcefree import md17_ethanol.npz --output ethanol.h5
      forcefree import run1.extxyz run2.extxyz --timestep '0.5 fs' --output runs.h5
      forcefree import dump.lammpstrj --units metal --timestep '1 fs' --elements Si,O --output quartz.h5
      forcefree import traj.trr --topology water.pdb --output water.h5
    """  # noqa: D301
    from rich.console import Console

    from forcefree.data.importing.conversion import import_trajectories
    from forcefree.data.importing.quantities import Kind
    from forcefree.data.importing.source import ImportOptions
    from forcefree.data.importing.summary import summarize
    from forcefree.units import femtoseconds

    given: dict[Kind, str | None] = {"length": length_unit, "velocity": velocity_unit, "energy": energy_unit}
    options = ImportOptions(
        format=format,
        topology=topology,
        timestep=None if timestep is None else femtoseconds(timestep),
        units={kind: unit for kind, unit in given.items() if unit is not None},
        lammps_units=units,
        elements=tuple(symbol.strip() for symbol in elements.split(",")) if elements else (),
        velocities=velocities,
        max_temperature=max_temperature,
        name=name,
    )
    with Console(stderr=True).status("reading") as status:
        import_trajectories(sources, output, options, lambda path, frames: status.update(f"{path.name}: {frames} frames"))
    _show(list(summarize(output)), output)


def _show(summaries: list[Summary], output: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{output}: {len(summaries)} trajectories" if len(summaries) > 1 else str(output))
    for column in ("name", "frames", "atoms", "formula", "spacing / fs", "mean T / K", "velocities", "also", "cell"):
        table.add_column(column, overflow="fold")
    for summary in summaries[:20]:
        even = summary.longest - summary.shortest <= 1e-4 * summary.longest
        spacing = f"{summary.shortest:g}" if even else f"{summary.shortest:g} to {summary.longest:g}"
        also = [noun for noun, present in (("energies", summary.energies), ("forces", summary.forces)) if present]
        table.add_row(
            summary.name,
            str(summary.frames),
            str(summary.atoms),
            summary.formula,
            spacing if summary.frames > 1 else "-",
            "-" if summary.temperature is None else f"{summary.temperature:.1f}",
            summary.velocities,
            ", ".join(also) or "-",
            "isolated" if summary.cell is None else " ".join(f"{number:.5g}" for number in summary.cell),
        )
    console = Console()
    console.print(table)
    if len(summaries) > 20:
        console.print(f"and {len(summaries) - 20} more")
