"""Kinetic temperature of a batch of systems and of its elements, with the degrees of freedom that conservation laws leave.

Thermostats, reports and analysis share these functions, so they can never disagree about what a temperature is.
Trajectories are measured by making each frame one system of the batch.
"""

from __future__ import annotations

from typing import Literal

import torch
from ase.data import chemical_symbols
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.nn.conservation import inertia_tensor
from forcefree.state import State
from forcefree.units import BOLTZMANN, KINETIC_UNIT

Conserved = Literal["nothing", "momentum", "momentum and rotation"]
"""What the dynamics keeps at zero in the centre-of-mass frame, and therefore carries no heat."""

_SINGULAR = 1e-7


def degrees_of_freedom(state: State, conserved: Conserved, *, bending: bool = False) -> Tensor:
    """Count the velocity degrees of freedom that carry heat.

    A conserved momentum takes 3 from each system. A conserved zero angular momentum takes from an isolated molecule as
    many more as it has axes to turn about: 3, or 2 where it is linear; from a periodic system it takes none.

    Args:
        state: Positions, masses and systems.
        conserved: What the dynamics keeps at zero.
        bending: Count for the molecule in motion, not for the geometry given: three or more atoms that start on a line
            leave it at once, and then have 3N - 6.

    Returns:
        Degrees of freedom, float64, shape (n_systems,), at least 1.

    Raises:
        ForcefreeError: If a system has no degree of freedom left.
    """
    count = 3 * state.sizes
    if conserved != "nothing":
        count = count - 3
    if conserved == "momentum and rotation":
        axes = turning_axes(state)
        if bending:
            axes = torch.where(state.sizes >= 3, 3, axes)
        count = count - axes * state.isolated
    if bool((count < 1).any()):
        atoms = int(state.sizes[count < 1][0])
        raise ForcefreeError(
            f"a system of {atoms} atom{'s' if atoms > 1 else ''} has no degree of freedom left when {conserved} is conserved; "
            "simulate more atoms or conserve less"
        )
    return count.to(torch.float64)


def turning_axes(state: State) -> Tensor:
    """Axes about which the atoms of each system can turn: 0 for an atom, 2 on a line, 3 otherwise, shape (n_systems,)."""
    moments = torch.linalg.eigvalsh(inertia_tensor(state, state.positions[None])[0])
    axes: Tensor = (moments > _SINGULAR * moments[:, -1:].clamp_min(1e-12)).sum(dim=1)
    return axes


def kinetic_energy(state: State, conserved: Conserved = "momentum") -> Tensor:
    r"""Kinetic energy :math:`\frac12 \sum_i m_i v_i^2` of every system.

    Args:
        state: Velocities, masses and systems.
        conserved: Where momentum is conserved, velocities are taken relative to the centre of mass.

    Returns:
        eV, shape (n_systems,).
    """
    velocities = state.velocities
    if conserved != "nothing":
        velocities = velocities - state.mean_by_mass(velocities)[state.system]
    return state.sum(0.5 * KINETIC_UNIT * state.masses * velocities.square().sum(dim=-1))


def kinetic_temperature(state: State, conserved: Conserved, freedom: Tensor | None = None) -> Tensor:
    r"""Instantaneous temperature :math:`T = \sum_i m_i v_i^2 / (k_B N_f)` of every system.

    Args:
        state: Velocities, masses and systems.
        conserved: What the dynamics keeps at zero.
        freedom: Degrees of freedom, shape (n_systems,); counted from the geometry when not given.

    Returns:
        K, shape (n_systems,).
    """
    count = degrees_of_freedom(state, conserved) if freedom is None else freedom
    return 2.0 * kinetic_energy(state, conserved) / (BOLTZMANN * count)


def freedom_shares(state: State, conserved: Conserved) -> Tensor:
    r"""Each atom's share of the degrees of freedom of its system.

    The share is :math:`\langle m_i v_i^2 \rangle / k_B T` of a canonical draw that obeys the conservation laws at these
    positions. Projecting out the uniform and the rigidly turning velocities leaves
    :math:`3 - 3 m_i / M - m_i\,\mathrm{tr}[(d_i^2 1 - d_i d_i^T) I^{-1}]` with :math:`d_i` from the centre of mass; the
    last term is there only for isolated systems without rotation, and 3 is all that is left where nothing is conserved.

    Args:
        state: Positions, masses and systems.
        conserved: What the dynamics keeps at zero.

    Returns:
        Shares, shape (n_atoms,); over a system they add up to its degrees of freedom.
    """
    shares = torch.full_like(state.masses, 3.0)
    if conserved == "nothing":
        return shares
    shares = shares - 3.0 * state.masses / state.sum(state.masses)[state.system]
    if conserved == "momentum" or not bool(state.isolated.any()):
        return shares
    inverse = torch.linalg.pinv(inertia_tensor(state, state.positions[None])[0], rtol=_SINGULAR, hermitian=True)
    inverse = inverse[state.system]
    arms = state.positions - state.mean_by_mass(state.positions)[state.system]
    trace = inverse.diagonal(dim1=-2, dim2=-1).sum(-1)
    along = (arms[:, None, :] @ inverse @ arms[:, :, None])[:, 0, 0]
    turning = state.masses * (arms.square().sum(-1) * trace - along)
    left: Tensor = shares - turning * state.isolated[state.system]
    return left


def element_temperatures(state: State, conserved: Conserved) -> dict[str, Tensor]:
    r"""Kinetic temperature of each element, :math:`\sum_{i \in e} m_i v_i^2 / (k_B \sum_{i \in e} s_i)` with shares s.

    Equipartition holds when all agree; a forecaster that sheds energy from its hardest modes fails here first.

    Args:
        state: Positions, velocities, masses and systems.
        conserved: What the dynamics keeps at zero.

    Returns:
        K by chemical symbol, in order of atomic number, each of shape (n_systems,), NaN where a system lacks the element
        or the conservation laws leave the element no freedom.
    """
    velocities = state.velocities
    if conserved != "nothing":
        velocities = velocities - state.mean_by_mass(velocities)[state.system]
    twice_kinetic = KINETIC_UNIT * state.masses * velocities.square().sum(dim=-1)
    shares = freedom_shares(state, conserved)
    temperatures = {}
    for number in torch.unique(state.numbers).tolist():
        chosen = (state.numbers == number).to(shares.dtype)
        freedom = state.sum(shares * chosen)
        ratio = state.sum(twice_kinetic * chosen) / (BOLTZMANN * freedom)
        temperatures[chemical_symbols[number]] = torch.where(freedom > 1e-9, ratio, torch.nan)
    return temperatures
