"""OpenMM, where it is installed."""

from __future__ import annotations

from typing import Any

from forcefree.errors import ForcefreeError

_MISSING = "the calculator 'openmm' needs the package openmm; install it with: pip install 'forcefree[openmm]'"


def load_openmm() -> Any:
    """The module ``openmm``.

    Raises:
        ForcefreeError: If it is not installed.
    """
    try:
        import openmm
        import openmm.app
    except ImportError as error:
        raise ForcefreeError(_MISSING) from error
    return openmm
