"""What a user would run instead: a network of like architecture and width that predicts forces, at the reference's time step."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.graph import Neighbours
from forcefree.models.forecaster import Forecaster
from forcefree.models.refined_network import RefinedNetwork
from forcefree.models.trajcast_config import TrajCastConfig
from forcefree.nn.pair_list import PairList
from forcefree.state import State
from forcefree.units import KINETIC_UNIT

_TINY = 1e-4
"""Of random forces, so that the system stays together while it is timed."""


def has_force_network(model: Forecaster) -> bool:
    """Whether a force network like this model is known."""
    return model.card.model == "trajcast" and isinstance(getattr(model, "network", None), RefinedNetwork)


class ForceDynamics:
    """Velocity Verlet under a message-passing network of the same width, cutoff and number of blocks as a TrajCast.

    It has no latent charges, whatever the TrajCast has. It sees positions and elements alone, though it computes the few products with relative velocities, which are zero. Speed does not depend on what was learnt, so its weights are random.

    Args:
        model: A TrajCast with the ``fast`` preset.
        state: The start.
        timestep: fs.

    Raises:
        ForcefreeError: If the model is another architecture.
    """

    def __init__(self, model: Forecaster, state: State, timestep: float) -> None:
        card = model.card
        if not has_force_network(model):
            raise ForcefreeError(f"a force network like {card.name} is known for TrajCast with the fast preset only, not for {card.model}")
        device = state.positions.device
        config = TrajCastConfig.parse(card.options, f"options of model {card.name}")
        blocks = config.model_copy(update={"layers": config.layers + config.refinements, "refinements": 0, "charges": 0})
        self._network = RefinedNetwork(blocks, len(card.species), card.cutoff, card.t_max, 1).eval().to(device)
        self._neighbours, self._timestep = Neighbours(card.cutoff), timestep
        lookup = torch.zeros(119, dtype=torch.int64, device=device)
        lookup[torch.tensor(card.species, device=device)] = torch.arange(len(card.species), device=device)
        self._species = lookup[state.numbers]
        self._still = torch.zeros(state.n_atoms, 3, device=device)
        self._scale = torch.full((state.n_atoms, 1), _TINY, device=device)
        self._per_mass = 1.0 / (KINETIC_UNIT * state.masses[:, None])
        self.state = state
        with torch.inference_mode():  # in pieces of pairs, as in every step
            self._forces = self._evaluate(state)

    def _evaluate(self, state: State) -> Tensor:
        pairs = self._neighbours(state)
        listed = PairList(pairs.vectors(state, state.positions).float(), pairs.receiver, pairs.sender, pairs.degree)
        forces: Tensor = self._network(listed, self._still, self._species, self._scale)
        return forces[..., 0].double()

    def step(self) -> None:
        """One time step."""
        with torch.inference_mode():
            halfway = self.state.velocities + 0.5 * self._timestep * self._per_mass * self._forces
            moved = self.state.with_(positions=self.state.positions + self._timestep * halfway)
            self._forces = self._evaluate(moved)
            self.state = moved.with_(velocities=halfway + 0.5 * self._timestep * self._per_mass * self._forces)
