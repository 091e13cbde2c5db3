"""What the engine needs of mechanics at every step, with everything that does not change computed once.

This is the fast path of :mod:`forcefree.nn.conservation` and :mod:`forcefree.temperature`, which it is tested against: atoms
keep their masses for a whole run, and thermostats change velocities while positions stay, so that the inertia of a
geometry serves several projections.
"""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.nn.inertia import inverse_inertia
from forcefree.state import State
from forcefree.temperature import Conserved
from forcefree.units import KINETIC_UNIT


class Bodies:
    """Masses and systems of a batch, and the inertia of the geometry asked about last.

    Args:
        state: The batch; only what stays constant is kept.
        conserved: What the dynamics keeps at zero.
    """

    def __init__(self, state: State, conserved: Conserved) -> None:
        self.conserved: Conserved = conserved
        self.n_systems = state.n_systems
        self.system = state.system
        self.any_isolated = bool(state.isolated.any())
        self._masses = state.masses[:, None]
        self._weights = (state.masses / state.sum(state.masses)[state.system])[:, None]
        self._half_masses = 0.5 * KINETIC_UNIT * state.masses[:, None]
        self._isolated = state.isolated[:, None, None].to(state.positions)
        self._unit = torch.eye(3, dtype=state.positions.dtype, device=state.positions.device)
        self._positions: Tensor | None = None

    def relative(self, vectors: Tensor) -> Tensor:
        """Vectors (n_atoms, 3) minus the mass-weighted mean of their system."""
        return vectors - self._sum(self._weights * vectors).index_select(0, self.system)

    def kinetic_energy(self, velocities: Tensor) -> Tensor:
        """Kinetic energy of velocities (n_atoms, 3), relative to the centre of mass where momentum is conserved, eV, (n_systems,)."""
        if self.conserved != "nothing":
            velocities = self.relative(velocities)
        return self._sum(self._half_masses * velocities * velocities).sum(dim=1)

    def angular_momentum(self, positions: Tensor, velocities: Tensor) -> Tensor:
        """Angular momentum about the centre of mass, amu Å^2/fs, shape (n_systems, 3)."""
        self._look(positions)
        return self._sum(torch.linalg.cross(self._weighted_arms, velocities))

    def turned(self, positions: Tensor, velocities: Tensor, target: Tensor | None) -> Tensor:
        """Velocities with the angular momentum ``target`` (n_systems, 3), or none, in isolated systems; others unchanged."""
        if not self.any_isolated:
            return velocities
        missing = -self.angular_momentum(positions, velocities)
        if target is not None:
            missing = missing + target
        rotation = (self._inverse @ missing[:, :, None])[:, :, 0]
        turning: Tensor = torch.linalg.cross(rotation.index_select(0, self.system), self._arms)
        return velocities + turning

    def allowed(self, positions: Tensor, vectors: Tensor) -> Tensor:
        """Vectors projected onto the velocities that the conservation laws allow, shape (n_atoms, 3)."""
        if self.conserved == "nothing":
            return vectors
        vectors = self.relative(vectors)
        return vectors if self.conserved == "momentum" else self.turned(positions, vectors, None)

    def _look(self, positions: Tensor) -> None:
        """Arms and inverse inertia of a geometry, kept until another is asked about."""
        if positions is self._positions:
            return
        self._positions = positions
        self._arms = self.relative(positions)
        self._weighted_arms = self._masses * self._arms
        outer = self._sum((self._weighted_arms[:, :, None] * self._arms[:, None, :]).view(-1, 9)).view(-1, 3, 3)
        trace = outer.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
        self._inverse = inverse_inertia(trace * self._unit - outer) * self._isolated

    def _sum(self, values: Tensor) -> Tensor:
        total = torch.zeros(self.n_systems, values.shape[1], dtype=values.dtype, device=values.device)
        return total.index_add_(0, self.system, values)
