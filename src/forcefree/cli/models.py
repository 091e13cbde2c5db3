"""``forcefree models``: the cards of model files, bundled or your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from forcefree.models.card import Card


def list_models() -> None:
    """List the bundled models, starts and references, and the architectures that can be trained.

    \b
    Example:
      forcefree models list
    """  # noqa: D301
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from forcefree.models import files
    from forcefree.models.registry import ARCHITECTURES
    from forcefree.reference.starts import bundled_starts

    table = Table(title="bundled models")
    for column in ("name", "architecture", "elements", "forecasts / fs", "level of theory", "trained at / K", "size"):
        table.add_column(column, overflow="fold")
    for name, path in files.bundled_models().items():
        card = files.read_card(path)
        row = (name, card.model, _elements(card), _reach(card), card.level_of_theory, _temperatures(card), _size(path))
        table.add_row(*(escape(cell) for cell in row))
    console = Console()
    console.print(table)
    console.print("bundled starts:", ", ".join(bundled_starts()), highlight=False)
    console.print("bundled references:", ", ".join(files.bundled_references()) or "none", highlight=False)
    console.print("architectures:", ", ".join(ARCHITECTURES), highlight=False)


def show_model(model: Annotated[str, typer.Argument(help="Bundled name or model file.")]) -> None:
    """Show the whole card of one model: what it was trained on, and the requests that it takes.

    \b
    Examples:
      forcefree models show trajcast-ethanol
      forcefree models show runs/model.safetensors
    """  # noqa: D301
    from rich.console import Console
    from rich.markup import escape
    from rich.pretty import Pretty
    from rich.table import Table

    from forcefree.models.files import count_weights, find_model, read_card

    path = find_model(model)
    card = read_card(path)
    table = Table(title=escape(card.name), show_header=False)
    table.add_column("field")
    table.add_column("value", overflow="fold")
    table.add_row("file", escape(str(path)))
    table.add_row("size", f"{_size(path)}, {count_weights(path):,} weights")
    table.add_row("elements", _elements(card))
    table.add_row("forecasts / fs", _reach(card))
    for name, value in card.model_dump().items():
        table.add_row(name, Pretty(value) if isinstance(value, (dict, list)) else escape(str(value)))
    Console().print(table)


def _elements(card: Card) -> str:
    from ase.data import chemical_symbols

    return " ".join(chemical_symbols[number] for number in card.species)


def _reach(card: Card) -> str:
    if card.fixed_times is not None:
        return ", ".join(f"{time:g}" for time in card.fixed_times)
    return f"any up to {card.t_max:g}"


def _temperatures(card: Card) -> str:
    if not card.temperatures:
        return "-"
    low, high = min(card.temperatures), max(card.temperatures)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _size(path: Path) -> str:
    bytes_ = path.stat().st_size
    return f"{bytes_ / 1e6:.1f} MB" if bytes_ >= 1e5 else f"{bytes_ / 1e3:.1f} kB"
