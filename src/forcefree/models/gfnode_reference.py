"""The part of GF-NODE that knows the molecule's shapes: superposed, left by vibrations, and returned to."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from forcefree.errors import ForcefreeError
from forcefree.models.gfnode_config import GfNodeConfig
from forcefree.models.gfnode_shape import ReferenceShape
from forcefree.nn.bond_graph import whole_bonds
from forcefree.nn.reference_match import Branches, Matcher, intact
from forcefree.state import State

_DECIDED = 0.02  # Å^2; branches whose mean squares differ by more are no rivals


class ReferenceMotion(nn.Module):
    """Departures of molecules that are the reference, of any atom order, orientation and handedness; zero for all others.

    Every shape is superposed on the present structure in every way that keeps elements and bonds, mirrored too, and
    the forecasts of all these branches are averaged, those that fit best with the largest weight. So a relabelled or
    reflected molecule has the relabelled or reflected forecast to the last digits, like atoms are treated alike, and the normal of a plane
    needs no sign. Where there are several shapes, how sharply the weight follows the fit is learned.

    Args:
        config: With a reference.
        longest: Longest period in fs before training.

    Raises:
        ForcefreeError: If a shape is not one molecule of three atoms or more off a line, or has other bonds than the reference.
    """

    bonded: Tensor

    def __init__(self, config: GfNodeConfig, longest: float) -> None:
        super().__init__()
        assert config.reference is not None
        numbers = np.array(config.reference.numbers, dtype=np.int64)
        structures = [config.reference, *config.conformers]
        positions = [torch.tensor(each.positions, dtype=torch.float64) for each in structures]
        graphs = [whole_bonds(each, torch.from_numpy(numbers)) for each in positions]
        for index, graph in enumerate(graphs):
            if not torch.equal(graph, graphs[0]):
                raise ForcefreeError(f"conformer {index} of this model has other bonds than its reference; give shapes of one molecule")
        self._matcher = Matcher(numbers, graphs[0].numpy())
        self.register_buffer("bonded", graphs[0], persistent=False)
        self.shapes = nn.ModuleList(ReferenceShape(each, graphs[0], config, longest) for each in positions)
        start = torch.full((1 if config.conformers else 0,), math.log(_DECIDED))
        self.log_decided = nn.Parameter(start)

    def forward(self, state: State, weights: Tensor, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Departures from free flight, and how far they are the whole forecast.

        Args:
            state: Systems.
            weights: Of the bonds, padded, shape (n_systems, n_most, n_most).
            times: fs, shape (n_times, n_systems).

        Returns:
            Å and Å/fs, each of shape (n_times, n_atoms, 3), and a share between 0 and 1, shape (n_systems,).
        """
        branches = self._matcher(state, weights)
        shapes = self._shapes()
        fits = [shape.fitted(state, branches) for shape in shapes]
        shares, whole = self._shares(state, weights, branches, [fit.misfit for fit in fits])
        total = torch.zeros(len(times), state.n_atoms, 6, dtype=self.dtype, device=times.device)
        asked = times[:, branches.system]
        for shape, fit, share in zip(shapes, fits, shares, strict=True):
            both = shape(fit, asked) * share.to(total)[:, None, None]
            total = total.index_add(1, branches.atoms.flatten(), both.flatten(1, 2))
        return total[..., :3], total[..., 3:], whole.to(total)

    def start_from(self, state: State, weights: Tensor) -> None:
        """Begin with the quasi-harmonic modes of a sample of structures and velocities.

        Args:
            state: Many copies of the molecule.
            weights: Of their bonds, padded, shape (n_systems, n_most, n_most).

        Raises:
            ForcefreeError: If none of them is the reference.
        """
        branches = self._matcher(state, weights)
        if not len(branches.system):
            raise ForcefreeError("none of the structures to start from has the elements and bonds of the reference")
        shapes = self._shapes()
        fits = [shape.fitted(state, branches) for shape in shapes]
        shares, _ = self._shares(state, weights, branches, [fit.misfit for fit in fits])
        for shape, fit, share in zip(shapes, fits, shares, strict=True):
            shape.start_from(fit, share)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the vibrations."""
        return self.log_decided.dtype

    def _shapes(self) -> list[ReferenceShape]:
        return [shape for shape in self.shapes if isinstance(shape, ReferenceShape)]

    def _shares(self, state: State, weights: Tensor, branches: Branches, misfits: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Share of each branch of each shape in the forecast of its system, and their sum over the branches of each system."""
        bonds = intact(branches, weights.double(), self.bonded).repeat(len(misfits))
        misfit, system = torch.cat(misfits), branches.system.repeat(len(misfits))
        decided = self.log_decided.double().exp() if len(self.log_decided) else _DECIDED
        best = torch.full((state.n_systems,), torch.inf, dtype=misfit.dtype, device=misfit.device)
        best = best.scatter_reduce(0, system, misfit.detach(), "amin")
        fit = bonds * torch.exp((best[system] - misfit) / decided)
        total = torch.zeros_like(best).index_add(0, system, fit).clamp_min(1e-30)
        share = bonds * fit / total[system]
        return share.view(len(misfits), -1), torch.zeros_like(best).index_add(0, system, share)
