"""The folder of unfinished runs: one configuration, one process at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from forcefree.errors import ForcefreeError
from forcefree.lock import locked
from forcefree.reference.config import ReferenceConfig


def same_data(config: ReferenceConfig, other: dict[str, Any] | None) -> bool:
    """Whether two configurations make the same frames; the number of workers and the file's place change nothing.

    Args:
        config: The configuration at hand.
        other: The JSON values of the other one, or None where there is none.
    """
    if other is None:
        return False
    recording = other.get("recording")
    if isinstance(recording, dict) and recording.get("ensemble", "nve") == "nve":  # once accepted there, and without effect
        other = {**other, "recording": {key: value for key, value in recording.items() if key != "thermostat_time"}}
    try:
        return essence(config) == essence(ReferenceConfig.model_validate({**other, "output": config.output}))
    except ValidationError:
        return False


def essence(config: ReferenceConfig) -> dict[str, Any]:
    """The JSON values of a configuration that its frames depend on."""
    return config.model_dump(mode="json", exclude={"workers", "output"})


@contextmanager
def claimed(parts: Path, config: ReferenceConfig) -> Iterator[None]:
    """Hold the folder of unfinished runs while they are made.

    Args:
        parts: The folder; it is created.
        config: What the runs in it belong to.

    Raises:
        ForcefreeError: If it holds runs of another configuration, or another process is at work in it.
    """
    parts.mkdir(parents=True, exist_ok=True)
    with locked(parts / "lock", f"another process is at work in {parts}; wait for it or stop it first"):
        stamp = parts / "config.json"
        if stamp.exists() and not same_data(config, json.loads(stamp.read_text())):
            raise ForcefreeError(f"{parts} holds runs of another configuration; remove it or choose another output")
        fresh = stamp.with_suffix(".new")
        fresh.write_text(config.model_dump_json())
        os.replace(fresh, stamp)
        yield
