"""Configuration files: frozen pydantic models read from YAML, with errors that name the line's key and the cure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from forcefree.errors import ForcefreeError
from forcefree.units import femtoseconds

Duration = Annotated[float, BeforeValidator(femtoseconds)]
"""A time in fs, written in YAML as ``10 ps`` or as a number of fs."""


def duration_or_none(value: str | float) -> float:
    """A time in fs from a number or a text with a unit; 0 for none.

    Raises:
        ForcefreeError: If it is no time.
    """
    return femtoseconds(value, or_none=True)


DurationOrNone = Annotated[float, BeforeValidator(duration_or_none)]
"""A :data:`Duration`, or 0 for none."""


class Settings(BaseModel):
    """A frozen set of validated options; unknown keys are refused, and the sentence below a field is its description."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def parse(cls, values: object, source: str) -> Self:
        """Validate plain values.

        Args:
            values: What the YAML file or the caller gave.
            source: Name used in the error message.

        Raises:
            ForcefreeError: One sentence that names every key that is wrong.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ForcefreeError(f"{source}: {_sentence(error)}") from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate a YAML file.

        Raises:
            ForcefreeError: If the file is missing, is not YAML, or holds wrong keys or values.
        """
        if not path.is_file():
            raise ForcefreeError(f"configuration file {path} does not exist")
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ForcefreeError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
        return cls.parse(values if values is not None else {}, str(path))

    @classmethod
    def accept(cls, given: Self | Path | str | Mapping[str, Any]) -> Self:
        """The settings themselves, or those that a YAML file or a mapping holds.

        Args:
            given: Settings of this class, the path of a YAML file, or keys and values as they would stand in one.

        Raises:
            ForcefreeError: If it is none of these, the file is missing or not YAML, or keys or values are wrong.
        """
        if isinstance(given, cls):
            return given
        if isinstance(given, (str, Path)):
            return cls.read(Path(given))
        if isinstance(given, Mapping):
            return cls.parse(dict(given), "the configuration")
        raise ForcefreeError(
            f"a configuration is the path of a YAML file, a mapping of its keys or a {cls.__name__}, not {type(given).__name__}"
        )


def _sentence(error: ValidationError) -> str:
    parts = []
    for item in error.errors():
        where = ".".join(str(step) for step in item["loc"]) or "the top level"
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "is not an option here"
        elif item["type"] == "missing":
            message = "is needed but missing"
        parts.append(f"{where}: {message[0].lower()}{message[1:]}")
    return "; ".join(parts)
