"""Networks of periodic systems as single compiled functions, for neighbourhoods of a fixed number of places."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from forcefree.graph import find_pairs
from forcefree.models.forecaster import Forecaster
from forcefree.models.refined_network import RefinedNetwork
from forcefree.nn.even_pairs import even_pairs
from forcefree.nn.lattice_mesh import LatticeMesh
from forcefree.nn.lattice_waves import LARGE_SYSTEM, FarField
from forcefree.nn.pair_list import PairList
from forcefree.simulation.compiler import compiler_options, own_copy
from forcefree.state import State

_MARGIN, _MULTIPLE = 1.25, 4
_MOST_PLACES = 1 << 17
"""Places of all atoms together: compiled code works on all of them at once, which costs memory, and beyond this no time is won."""


class CompiledNetwork(nn.Module):
    """The same coefficients as those of a network, to rounding, from one call of compiled code.

    Every atom has the same number of places for its neighbours, so that the code serves whatever neighbours it has. Other batches,
    passes that record gradients, and moments at which an atom of the batch has more neighbours than places, go to the network itself.

    Args:
        network: Its weights must not change any more.
        n_atoms: Of the batch.
        places: For each atom.
        cutoff: Å.
        device: Of the batch.
    """

    def __init__(self, network: RefinedNetwork, n_atoms: int, places: int, cutoff: float, device: torch.device) -> None:
        super().__init__()
        self.network = network
        self._n_atoms, self._places, self._cutoff = n_atoms, places, cutoff
        self._kind: object = None  # of the first batch, for which the code is made
        options = compiler_options(device, torch.get_num_threads())
        self._compiled: Any = torch.compile(own_copy(network.coefficients), fullgraph=True, dynamic=False, options=options)

    def forward(self, pairs: PairList, velocities: Tensor, species: Tensor, scale: Tensor, waves: FarField | None = None) -> Tensor:
        """As :meth:`RefinedNetwork.forward`."""
        if self._serves(pairs.separations, velocities, waves):
            evened = even_pairs(pairs, self._n_atoms, self._cutoff, self._places)
            if evened.degree == self._places:
                result: Tensor = self._compiled(evened, velocities, species, scale, waves)
                return result
        coefficients: Tensor = self.network(pairs, velocities, species, scale, waves)
        return coefficients

    def _serves(self, separations: Tensor, velocities: Tensor, waves: FarField | None) -> bool:
        """Whether this is the kind of batch that the code was compiled for, which compiled code itself does not look at."""
        if torch.is_grad_enabled() or len(velocities) != self._n_atoms or isinstance(waves, LatticeMesh):
            return False
        cells = None if waves is None else (waves.vectors.shape, waves.padding.n_systems, waves.padding.largest)
        kind = (separations.dtype, separations.device, cells)
        self._kind = self._kind or kind
        return kind == self._kind


def places_of(model: Forecaster, state: State) -> int:
    """Places for the neighbours of each atom: a quarter more than the mean density of the densest cell gives.

    That depends on cells alone, so that a run which is resumed has as many as before.
    """
    volumes = torch.linalg.det(state.cell).abs()
    mean = float((state.sizes / volumes).max()) * 4.0 / 3.0 * math.pi * model.card.cutoff**3
    return _MULTIPLE * math.ceil(_MARGIN * mean / _MULTIPLE)


def can_compile_network(model: Forecaster, state: State) -> bool:
    """Whether a batch of systems that are periodic in all directions has as many neighbours as its density says, and not too many."""
    network = getattr(model, "network", None)
    if not bool(state.pbc.all()) or not isinstance(network, RefinedNetwork):
        return False
    if len(network.far) and int(state.sizes.max()) >= LARGE_SYSTEM:  # whose Fourier transforms gain nothing
        return False
    places = places_of(model, state)
    if places * state.n_atoms > _MOST_PLACES:
        return False
    return int(torch.bincount(find_pairs(state, model.card.cutoff).receiver, minlength=1).max()) <= places


def with_compiled_network(model: Forecaster, state: State) -> Forecaster:
    """A copy of a model whose network is compiled for this batch; see :func:`can_compile_network`."""
    served = copy.deepcopy(model)
    network = served.network
    assert isinstance(network, RefinedNetwork)
    served.network = CompiledNetwork(network, state.n_atoms, places_of(model, state), model.card.cutoff, state.positions.device)
    return served


def warm_up(model: Forecaster, state: State) -> None:
    """Compile now.

    Raises:
        Exception: Whatever the compiler says where there is none or it fails.
    """
    with torch.inference_mode():
        model.propagate(state, min(model.card.fixed_times or [model.card.t_max]))
