"""Periodic cells: how wide they are, and whether that is enough for how far a model looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forcefree.errors import ForcefreeError

_ROUNDING = 1e-9


def cell_widths(cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distances between opposite faces of a cell, infinite in open directions.

    Args:
        cell: Rows are cell vectors in Å, shape (3, 3).
        pbc: Which of them are periodic, shape (3,).

    Returns:
        Å, shape (3,).
    """
    whole = np.array(cell, dtype=np.float64)
    if not pbc.all():  # open directions may have no vector; any that is at right angles to the periodic ones will do
        _, _, axes = np.linalg.svd(np.where(pbc[:, None], whole, 0.0))
        whole[~pbc] = axes[int(pbc.sum()) :]
    widths = abs(np.linalg.det(whole)) / np.linalg.norm(np.cross(whole[[1, 2, 0]], whole[[2, 0, 1]]), axis=1)
    return np.where(pbc, widths, np.inf)


def check_cell(cell: NDArray[np.float64], pbc: NDArray[np.bool_], cutoff: float, what: str) -> None:
    """Refuse a cell in which an atom would see an image of itself.

    Neighbours that are seen twice are counted twice, rightly; but an atom that is its own neighbour moves as no atom of
    the bulk does.

    Args:
        cell: Rows are cell vectors in Å, shape (3, 3).
        pbc: Which of them are periodic, shape (3,).
        cutoff: Å, how far a model looks.
        what: What has the cell, for the error message.

    Raises:
        ForcefreeError: Naming the width and the supercell that is wide enough.
    """
    widths = cell_widths(cell, pbc)
    if bool((widths < cutoff * (1.0 - _ROUNDING)).any()):
        copies = [max(1, int(np.ceil(cutoff / width - _ROUNDING))) for width in widths]
        raise ForcefreeError(
            f"{what} has a cell only {widths.min():.2f} Å wide, but the model looks {cutoff:g} Å far, so that atoms would see themselves; "
            f"use a supercell of at least {' x '.join(map(str, copies))}"
        )
