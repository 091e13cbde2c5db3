"""A file of MD17's form whose dynamics is known: a stiff triangle with a hydrogen, turning steadily about one axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

FRAMES = 42_000
TURN = 0.0008
"""rad per frame."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``md17_spinner.npz``."""
    path = tmp_path_factory.mktemp("md17")
    shape = np.array([[1.2, 0.0, 0.1], [-0.7, 1.0, 0.0], [-0.5, -1.0, -0.1], [2.0, 0.4, 0.0]]) * 0.65
    shape[:3] -= np.average(shape[:3], axis=0, weights=[12.011, 12.011, 15.999])
    angle = TURN * np.arange(FRAMES)[:, None]
    x, y = np.cos(angle) * shape[:, 0] - np.sin(angle) * shape[:, 1], np.sin(angle) * shape[:, 0] + np.cos(angle) * shape[:, 1]
    positions = np.stack([x, y, np.broadcast_to(shape[:, 2], x.shape)], axis=-1)
    np.savez(path / "md17_spinner.npz", R=positions, z=np.array([6, 6, 8, 1], dtype=np.uint8), surrogate=np.array("surrogate: a spinner"))
    return path
