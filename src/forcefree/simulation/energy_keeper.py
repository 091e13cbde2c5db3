"""Keep the total energy: what the energy head sees a step add is taken out of the velocities, or put back."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.simulation.bodies import Bodies
from forcefree.state import State

_LEAST, _MOST = 0.25, 4.0
"""Bounds of the factor of the internal kinetic energy in one step."""


class EnergyKeeper:
    r"""Scale velocities after a step of the dynamics so that the total energy is what it was before it.

    Potential energies are those of the model's energy head, a function of positions, so that errors of the head shift the kinetic energy
    of a geometry and do not add up over a run. Only internal velocities are scaled, those without the motion of the centre of mass and,
    in isolated systems, without their rotation: with :math:`\Delta` the energy that the step has added and :math:`K` the internal
    kinetic energy after it, by :math:`\sqrt{1 - \Delta / K}`. Momenta stay as they are. In one step the factor of :math:`K` stays
    between 1/4 and 4, so that a step gone wrong still runs into the guards.

    What modes gain or lose is shared by all: the total energy is kept, equipartition is not restored.

    Args:
        model: With an energy head.
        bodies: Mechanics of the batch.

    Raises:
        ForcefreeError: If the model has no energy head.
    """

    def __init__(self, model: Forecaster, bodies: Bodies) -> None:
        if not model.knows_energy:
            raise ForcefreeError(
                f"keeping the energy needs a model with an energy head, and {model.card.name} has none; train one with potential_weight, "
                "or do without"
            )
        self._model, self._bodies = model, bodies
        self._positions: Tensor | None = None
        self._potential: Tensor

    def kept(self, before: State, after: State) -> State:
        """The state ``after`` a step with the total energy of the state ``before`` it."""
        potential = self._of(before)
        kinetic = self._bodies.kinetic_energy(before.velocities)
        gained = self._of(after) - potential + self._bodies.kinetic_energy(after.velocities) - kinetic
        internal = self._bodies.turned(after.positions, self._bodies.relative(after.velocities), None)
        moving = self._bodies.kinetic_energy(internal)
        ratio = (1.0 - gained / moving.clamp_min(torch.finfo(moving.dtype).tiny)).clamp(_LEAST, _MOST)
        factor = torch.where(torch.isfinite(ratio), ratio, 1.0).sqrt()[after.system, None]
        return after.with_(velocities=torch.addcmul(after.velocities, factor - 1.0, internal))

    def _of(self, state: State) -> Tensor:
        """Potential energy, remembered for the geometry asked about last: thermostats leave positions as they are."""
        if state.positions is not self._positions:
            self._potential = self._model.potential_energy(state)
            self._positions = state.positions
        return self._potential
