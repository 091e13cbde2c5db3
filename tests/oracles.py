"""Analytic forecasters: exact flows of spring networks, against which engines and propagators are checked."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster
from forcefree.state import State
from forcefree.units import BOLTZMANN, KINETIC_UNIT

ATOMS = [6, 6, 8, 1, 1, 1, 1, 1, 1]
"""An ethanol of springs."""

T_MAX = 20.0


class Springs(Forecaster):
    r"""Atoms joined by isotropic harmonic springs, :math:`V = \frac12 \sum_{ij} k_{ij} |u_i - u_j|^2 / 2`, solved by normal modes.

    With u the positions themselves (springs of zero rest length) energy, momentum and angular momentum are all exact,
    for any displacement. With u measured from a reference geometry the molecule keeps its shape but, like every
    linearised molecule, not its angular momentum, so that one is for periodic boxes.

    Args:
        numbers: Elements of one molecule; a batch holds copies of it.
        stiffness: k of every pair, eV/Å^2.
        reference: Equilibrium positions in Å, shape (n_atoms, 3); None for zero rest lengths.
        shrink: Rate (1/fs) at which the flow loses amplitude, as maps trained on squared errors do; modes in proportion
            to the square of their frequency, the fastest at this rate.
        card: Overrides of the card.
    """

    def __init__(
        self, numbers: list[int], *, stiffness: float = 2.0, reference: np.ndarray | None = None, shrink: float = 0.0, **card: object
    ) -> None:
        values = {"name": "springs", "model": "springs", "species": sorted(set(numbers)), "t_max": T_MAX, "cutoff": 10.0, **card}
        super().__init__(Card.model_validate(values))
        n = len(numbers)
        molecule = Atoms(numbers, positions=np.zeros((n, 3)) if reference is None else reference)
        self.masses = torch.tensor(molecule.get_masses())
        strength = stiffness * (1.0 + 0.3 * torch.sin(torch.arange(n * n, dtype=torch.float64).view(n, n)))
        strength = (strength + strength.T) / 2.0
        strength.fill_diagonal_(0.0)
        self.register_buffer("hessian", torch.diag(strength.sum(1)) - strength)
        root = self.masses.sqrt()
        square, modes = torch.linalg.eigh(self.hessian / root[:, None] / root / KINETIC_UNIT)
        self.frequencies = square.clamp_min(0.0).sqrt()
        self.frequencies[0] = 0.0
        self.into = modes.T * root
        self.out = modes / root[:, None]
        self.reference = torch.tensor(molecule.positions)
        self.damping = shrink * self.frequencies.square() / self.frequencies.max() ** 2

    def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
        state = history[-1]
        n = len(self.masses)
        x = state.positions.view(-1, n, 3) - self.reference
        v = state.velocities.view(-1, n, 3)
        q, p = _apply(self.into, x), _apply(self.into, v)
        w = self.frequencies[1:]
        t = times[:, :, None]
        keep = torch.exp(-self.damping[1:] * t)[..., None]
        cosine, sine = torch.cos(w * t)[..., None], torch.sin(w * t)[..., None]
        w = w[:, None]
        moved = keep * (cosine * q[:, 1:] + sine / w * p[:, 1:]) - q[:, 1:] - p[:, 1:] * t[..., None]
        turned = keep * (cosine * p[:, 1:] - sine * w * q[:, 1:]) - p[:, 1:]
        out = self.out[:, 1:]
        return _apply(out, moved).reshape(len(times), -1, 3), _apply(out, turned).reshape(len(times), -1, 3)

    def potential_energy(self, state: State) -> Tensor:
        """eV, shape (n_systems,)."""
        u = state.positions.view(-1, len(self.masses), 3) - self.reference
        return 0.5 * torch.einsum("rnc,nm,rmc->r", u, self.hessian, u)

    def canonical_positions(self, temperature: float, replicas: int, seed: int = 0) -> Tensor:
        """Positions of ``replicas`` molecules from the canonical distribution, Å, shape (replicas * n_atoms, 3)."""
        generator = torch.Generator().manual_seed(seed)
        spread = (BOLTZMANN * temperature / KINETIC_UNIT) ** 0.5 / self.frequencies[1:]
        draws = torch.randn(replicas, len(spread), 3, generator=generator, dtype=torch.float64) * spread[:, None]
        return (_apply(self.out[:, 1:], draws) + self.reference).reshape(-1, 3)


def _apply(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Matrix times vectors (..., n, 3), term by term in a fixed order, so that no batch-mate can change a bit."""
    total = matrix[:, :1] * vectors[..., :1, :]
    for column in range(1, matrix.shape[1]):
        total = total + matrix[:, column : column + 1] * vectors[..., column : column + 1, :]
    return total


def phantom(shrink: float = 0.0, **card: object) -> Springs:
    """Nine atoms on springs of zero rest length: isolated, with exact angular momentum."""
    return Springs(ATOMS, shrink=shrink, **card)


def phantom_start(replicas: int = 1, temperature: float = 300.0, seed: int = 0) -> State:
    """Canonical positions of the phantom, at rest, one replica per system."""
    state = State.from_atoms([Atoms(ATOMS, positions=np.zeros((len(ATOMS), 3)))] * replicas)
    return state.with_(positions=phantom().canonical_positions(temperature, replicas, seed))


def crystal_geometry() -> np.ndarray:
    """Nine atoms on a grid 1.5 Å wide."""
    return np.stack(np.meshgrid(*[np.arange(3.0)] * 2, [0.0]), axis=-1).reshape(-1, 3) * 1.5


def boxed(shrink: float = 0.0, **card: object) -> Springs:
    """Nine atoms about a reference geometry, for a periodic box."""
    return Springs(ATOMS, shrink=shrink, stiffness=6.0, reference=crystal_geometry(), **card)


def boxed_atoms() -> Atoms:
    """The reference geometry in its periodic box of 30 Å."""
    return Atoms(ATOMS, positions=crystal_geometry(), cell=[30.0] * 3, pbc=True)
