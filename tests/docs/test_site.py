"""The documentation site: its generated parts, and that no page is missing or points at nothing."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_command

from forcefree.cli.main import app
from forcefree.models.asteroid_config import AsteroidConfig
from forcefree.models.egnn import EgnnConfig
from forcefree.models.gfnode_config import GfNodeConfig
from forcefree.models.mdtrajnet_config import MDtrajNetConfig
from forcefree.models.trajcast_config import TrajCastConfig
from forcefree.reference.config import ReferenceConfig
from forcefree.simulation.log import COLUMNS
from forcefree.simulation.options import SimulationOptions
from forcefree.training.config import TrainingConfig

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.fixture(scope="module")
def macros() -> ModuleType:
    """The hook that expands pages."""
    spec = importlib.util.spec_from_file_location("site_macros", ROOT / "docs" / "site_macros.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_macro_expands_and_every_link_leads_somewhere(macros: ModuleType, page: Path) -> None:
    text = macros.on_page_markdown(page.read_text())
    assert "{{ " not in text
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / target).exists() or target.startswith("assets/"), target


def _commands(group: Any, before: str = "") -> list[str]:
    nested = getattr(group, "commands", {})
    return [name for part, command in nested.items() for name in _commands(command, f"{before}{part} ")] or [before.strip()]


def test_every_command_is_on_the_page_of_commands() -> None:
    shown = re.findall(r"\{\{ command (.+?) \}\}", (ROOT / "docs" / "commands.md").read_text())
    assert sorted(shown) == sorted(_commands(get_command(app)))


def test_every_column_of_the_log_is_explained_in_order() -> None:
    text = (ROOT / "docs" / "formats.md").read_text()
    assert tuple(name for name in re.findall(r"`([^`]+)`", text.partition("Columns of the log")[2]) if name in COLUMNS) == COLUMNS


def _keys(settings: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, field in settings.model_fields.items():
        keys.append(prefix + name)
        for nested in (field.annotation, *get_args(field.annotation)):
            if isinstance(nested, type) and issubclass(nested, BaseModel):
                keys += _keys(nested, f"{prefix}{name}.")
    return keys


@pytest.mark.parametrize(
    "settings",
    [ReferenceConfig, TrainingConfig, TrajCastConfig, MDtrajNetConfig, GfNodeConfig, EgnnConfig, AsteroidConfig, SimulationOptions],
)
def test_every_option_is_in_the_documentation(macros: ModuleType, settings: type[BaseModel]) -> None:
    text = macros.on_page_markdown((ROOT / "docs" / "configuration.md").read_text())
    for key in _keys(settings):
        assert f"| `{key}` |" in text


def test_every_option_of_the_reference_is_explained(macros: ModuleType) -> None:
    table = macros.settings_table("forcefree.reference.config:ReferenceConfig")
    assert not [line for line in table.splitlines() if line.endswith("|  |")]


def test_the_commands_page_shows_every_command() -> None:
    from forcefree.cli.main import app

    text = (ROOT / "docs" / "commands.md").read_text()
    for command in app.registered_commands:
        assert f"{{{{ command {command.name} }}}}" in text


def test_every_page_is_in_the_navigation() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    listed = set(re.findall(r"[\w/-]+\.md", str(navigation)))
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in PAGES}


def test_a_macro_that_names_nothing_stops_the_build(macros: ModuleType) -> None:
    with pytest.raises(ValueError, match="there is no command sing"):
        macros.on_page_markdown("{{ command sing }}")
