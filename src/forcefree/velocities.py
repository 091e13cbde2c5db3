"""Start velocities from the canonical distribution, inside the space that the conservation laws allow."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.nn.conservation import restore_angular_momentum
from forcefree.state import State
from forcefree.streams import Purpose, Streams
from forcefree.temperature import Conserved, degrees_of_freedom
from forcefree.units import BOLTZMANN, KINETIC_UNIT

HOTTEST = 1.0e5
"""K; velocities that give more are a mix-up of units."""


def maxwell_boltzmann(state: State, temperature: float, streams: Streams, conserved: Conserved) -> State:
    r"""Draw velocities at a temperature.

    Each component is normal with variance :math:`k_B T / m`; then what is conserved is projected out. The projection is
    orthogonal in the metric of the masses, so what remains is canonical in its space and nothing is rescaled: the
    kinetic energy scatters from replica to replica as it should.

    Args:
        state: Positions, masses and systems.
        temperature: K.
        streams: Random numbers of the replicas; each system is one.
        conserved: What the dynamics will keep at zero.

    Returns:
        The state with new velocities.

    Raises:
        ForcefreeError: If the temperature is not between 0 and 100000 K, or a system has no freedom left.
    """
    if not 0.0 <= temperature < HOTTEST:
        raise ForcefreeError(f"a temperature must lie between 0 and {HOTTEST:g} K, not {temperature:g} K")
    degrees_of_freedom(state, conserved)
    normals = streams.normals(Purpose.VELOCITIES, 0, tuple(3 * n for n in state.sizes.tolist()))
    spread = thermal_spread(state, temperature)
    return state.with_(velocities=allowed(state, normals.view(-1, 3).to(spread) * spread, conserved))


def thermal_spread(state: State, temperature: float) -> Tensor:
    r"""Standard deviation :math:`\sqrt{k_B T / m_i}` of a velocity component, Å/fs, shape (n_atoms, 1)."""
    return (BOLTZMANN * temperature / (KINETIC_UNIT * state.masses)).sqrt()[:, None]


def allowed(state: State, vectors: Tensor, conserved: Conserved) -> Tensor:
    """Project velocities onto the space that the conservation laws allow.

    Args:
        state: Positions, masses and systems.
        vectors: Velocities, shape (n_atoms, 3).
        conserved: Take out the mean drift, and from isolated systems the rigid rotation.

    Returns:
        Velocities without momentum (and angular momentum), shape (n_atoms, 3).
    """
    if conserved == "nothing":
        return vectors
    vectors = vectors - state.mean_by_mass(vectors)[state.system]
    if conserved == "momentum":
        return vectors
    still = torch.zeros(state.n_systems, 3, dtype=vectors.dtype, device=vectors.device)
    return restore_angular_momentum(state, state.positions[None], vectors[None], still)[0]
