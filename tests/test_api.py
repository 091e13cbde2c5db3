"""``import forcefree``: quick, complete and honest about what it has not."""

from __future__ import annotations

import subprocess
import sys

import pytest

import forcefree


def test_importing_costs_nothing() -> None:
    code = "import sys, forcefree; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'ase', 'h5py', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", [name for name in forcefree.__all__ if name != "__version__"])
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(forcefree, name)
    assert value.__name__ == name
    assert value.__doc__
    assert value is getattr(forcefree, name)
    assert name in dir(forcefree)


def test_the_version_is_that_of_the_distribution() -> None:
    assert forcefree.__version__ == "0.1.0"


def test_what_is_not_public_is_named() -> None:
    with pytest.raises(AttributeError, match="module 'forcefree' has no attribute 'lod'; public are ForcefreeError"):
        forcefree.lod  # noqa: B018
