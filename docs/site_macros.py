"""Pages that cannot drift from the code.

``{{ command NAME }}``, ``{{ settings MODULE:CLASS }}`` and ``{{ python MODULE:NAME }}`` in a page become the help of a command,
the table of a configuration class, and the signature and docstring of a public object.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any, get_args

import typer
from pydantic_core import PydanticUndefined

from forcefree.settings import Settings

_MACRO = re.compile(r"\{\{ (command|settings|python) ([\w.: -]+?) \}\}")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Expand every macro of a page; MkDocs calls this.

    Raises:
        ValueError: If a macro names something that does not exist.
    """
    return _MACRO.sub(lambda found: _EXPANSIONS[found[1]](found[2]), markdown)


def command_help(name: str) -> str:
    """Help of ``forcefree NAME`` as it is printed."""
    from forcefree.cli.main import app

    command: Any = typer.main.get_command(app)
    context = command.make_context("forcefree", ["--help"], resilient_parsing=True)
    for part in name.split():
        command = command.get_command(context, part)
        if command is None:
            raise ValueError(f"there is no command {name}")
        context = type(context)(command, info_name=part, parent=context, max_content_width=100, terminal_width=100)
    return f"```text\n{command.get_help(context).strip()}\n```"


def settings_table(path: str) -> str:
    """Every key of a configuration class, with its default and its meaning; nested classes follow as tables of their own."""
    pending, tables = [("", _found(path))], []
    while pending:
        prefix, settings = pending.pop(0)
        rows = ["| key | default | meaning |", "|---|---|---|"]
        for name, field in settings.model_fields.items():
            types = (field.annotation, *get_args(field.annotation))
            pending += [(f"{prefix}{name}.", nested) for nested in types if isinstance(nested, type) and issubclass(nested, Settings)]
            meaning = " ".join((field.description or "").split()).replace("``", "`").replace("|", "\\|")
            rows.append(f"| `{prefix}{name}` | {_default(field)} | {meaning} |")
        tables.append("\n".join(rows))
    return "\n\n".join(tables)


def python_signature(path: str) -> str:
    """Name, signature and docstring of a public function or class."""
    value = _found(path)
    signature = str(inspect.signature(value)).replace("'", "")
    return f"```text\n{value.__name__}{signature}\n\n{inspect.getdoc(value)}\n```"


def _default(field: Any) -> str:
    if field.is_required():
        return "needed"
    value = field.default if field.default is not PydanticUndefined else field.default_factory()
    return "as below" if isinstance(value, Settings) else f"`{value}`"


def _found(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


_EXPANSIONS: dict[str, Callable[[str], str]] = {"command": command_help, "settings": settings_table, "python": python_signature}
