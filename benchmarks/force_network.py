"""What forecasts save: MDtrajNet beside a network of the same attention blocks and width that predicts forces every 0.5 fs.

All in one run on one thread, as simulated time of all replicas together per second of processor time. The force network has
as many attention blocks as MDtrajNet has blocks and refinements, the same channels, heads and cutoff, and velocities of zero,
whose few products are computed all the same; it is timed with forces read off directly and as the gradient of an energy, both
with velocity Verlet. Speed does not depend on what was learnt, so all weights are random but for a scale that keeps the
molecule together. GFN2-xTB, the teacher, stands beside them, and so does the bundled TrajCast. Energy checks are counted:
rows say where every step was checked by the energy head.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from cost_scaling import untrained
from rows import Table
from speed import reference_speed
from starts import reference_starts
from torch import Tensor, nn

from forcefree.graph import Neighbours
from forcefree.memory import keep_freed_memory
from forcefree.models.files import load
from forcefree.models.forecaster import Forecaster
from forcefree.models.mdtrajnet_config import MDtrajNetConfig
from forcefree.nn.attention import NeighbourAttention
from forcefree.nn.bases import GaussianBasis, envelope
from forcefree.nn.features import Features
from forcefree.nn.velocity_message import EdgeFeatures
from forcefree.simulation.building import build_engine
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State
from forcefree.units import KINETIC_UNIT

TIMESTEP = 0.5
"""fs."""

_PAIR_WIDTH = 16
_TINY = 1e-4
REPLICAS = (1, 64, 512)
COMPILED = (1, 64)


DIRECT = {"propagator": "direct", "interval": 10.0}
REVERSIBLE = {"propagator": "reversible", "interval": 20.0, "corrections": 1}
CHECKED = {"tolerance": 1e9, "halvings": 1}
ROWS: tuple[tuple[str, bool, dict[str, Any]], ...] = (
    ("MDtrajNet, direct 10 fs", False, DIRECT),
    ("MDtrajNet, direct 10 fs, every step checked", False, DIRECT | CHECKED),
    ("MDtrajNet, reversible 20 fs", False, REVERSIBLE),
    ("MDtrajNet, reversible 20 fs, every step checked", False, REVERSIBLE | CHECKED),
    ("TrajCast (bundled), direct 10 fs", True, DIRECT),
    ("TrajCast (bundled), reversible 20 fs", True, REVERSIBLE),
)
"""Label, whether it is the bundled model's, options of the simulation."""


class ForceNetwork(nn.Module):
    """Attention blocks over positions and elements, with forces as vectors of atoms or as the slope of a sum of their scalars.

    Args:
        options: Of MDtrajNet; as many blocks as ``layers`` and ``refinements`` together.
        n_species: Elements.
        cutoff: Å.
        conservative: Forces are the gradient of an energy.
    """

    def __init__(self, options: MDtrajNetConfig, n_species: int, cutoff: float, *, conservative: bool) -> None:
        super().__init__()
        self.conservative, self._n_species, self._cutoff, self._matrices = conservative, n_species, cutoff, options.matrix_channels
        self.radial = GaussianBasis(options.radial_functions, 0.6, cutoff)
        self.element = nn.Embedding(n_species, options.channels)
        self.pair = nn.Embedding(n_species**2, _PAIR_WIDTH)
        width = options.radial_functions + _PAIR_WIDTH
        self.blocks = nn.ModuleList(
            NeighbourAttention(
                options.channels, options.matrix_channels, width, options.filter_width, options.heads, options.neighbours, first=index == 0
            )
            for index in range(options.layers + options.refinements)
        )
        self.readout = nn.Linear(options.channels, 1, bias=False)

    def forward(self, positions: Tensor, species: Tensor, receiver: Tensor, sender: Tensor, degree: int) -> Tensor:
        """Forces in eV/Å, shape (n_atoms, 3), of single-precision positions in Å."""
        if not self.conservative:
            forces: Tensor = _TINY * self.readout(self._features(positions, species, receiver, sender, degree).vectors)[..., 0]
            return forces
        with torch.enable_grad():
            moved = positions.detach().requires_grad_()
            energy = _TINY * self.readout(self._features(moved, species, receiver, sender, degree).scalars).sum()
            (slope,) = torch.autograd.grad(energy, moved)
        return -slope

    def _features(self, positions: Tensor, species: Tensor, receiver: Tensor, sender: Tensor, degree: int) -> Features:
        separations = positions[sender] - positions[receiver]
        distances = separations.square().sum(dim=-1).clamp_min(1e-12).sqrt()
        kind = species[receiver] * self._n_species + species[sender]
        directions = (separations / distances[:, None])[..., None]
        edges = EdgeFeatures(
            receiver=receiver,
            sender=sender,
            degree=degree,
            invariants=torch.cat([self.radial(distances), self.pair(kind)], dim=-1),
            envelope=envelope(distances, self._cutoff)[:, None],
            directions=directions,
            velocities=torch.zeros_like(directions),
        )
        features = Features.of_scalars(self.element(species), self._matrices)
        for block in self.blocks:
            features = block(*features, edges)
        return features


class Verlet:
    """Velocity Verlet of a batch of isolated molecules under a force network.

    Args:
        network: Gives forces.
        state: The start, float64 as in every simulation here.
        lookup: Index of each element.
    """

    def __init__(self, network: Callable[..., Tensor], state: State, lookup: Tensor) -> None:
        pairs = Neighbours(5.0)(state)
        self._fixed = (lookup[state.numbers], pairs.receiver, pairs.sender, pairs.degree)
        self._network = network
        self._positions, self._velocities = state.positions, state.velocities
        self._per_mass = 1.0 / (KINETIC_UNIT * state.masses[:, None])
        self._forces = self._evaluate()

    def _evaluate(self) -> Tensor:
        return self._network(self._positions.float(), *self._fixed).double()

    def step(self) -> None:
        """0.5 fs."""
        halfway = self._velocities + 0.5 * TIMESTEP * self._per_mass * self._forces
        self._positions = self._positions + TIMESTEP * halfway
        self._forces = self._evaluate()
        self._velocities = halfway + 0.5 * TIMESTEP * self._per_mass * self._forces


def speed(step: Callable[[], object], interval: float, replicas: int, repeats: int, budget: float) -> list[float]:
    """Simulated fs of all replicas per processor second, measured ``repeats`` times for about ``budget`` seconds each."""
    step()
    begun = time.process_time()
    step()
    once = max(time.process_time() - begun, 1e-5)
    count = max(1, int(budget / once))
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        for _ in range(count):
            step()
        found.append(replicas * count * interval / (time.process_time() - begun))
    return found


def forecasting(model: Forecaster, replicas: int, *, compiled: bool, **options: Any) -> tuple[Callable[[], object], float]:
    """One step of an engine without guards, and its length in fs."""
    values = {"ensemble": "nve", "temperature": 300.0, "duration": 1e6, "guards": False, "compile": compiled, **options}
    engine, _ = build_engine(model, State.from_atoms(reference_starts(replicas)), SimulationOptions.parse(values, "benchmark"))
    return engine.step, engine.propagator.interval


def forces(model: Forecaster, replicas: int, *, compiled: bool, conservative: bool) -> Callable[[], object]:
    """One step of velocity Verlet under a force network like ``model``."""
    options = MDtrajNetConfig.parse(model.card.options, "options of the model")
    network: Any = ForceNetwork(options, len(model.card.species), model.card.cutoff, conservative=conservative).eval()
    if compiled:
        network = torch.compile(network, dynamic=False)
    lookup = torch.zeros(119, dtype=torch.int64)
    lookup[torch.tensor(model.card.species)] = torch.arange(len(model.card.species))
    state = State.from_atoms(reference_starts(replicas))
    verlet = Verlet(network, state, lookup)

    def step() -> None:
        with torch.no_grad():
            verlet.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a trained MDtrajNet with an energy head; an untrained one of the example's size when not given")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--budget", type=float, default=1.0, help="processor seconds per measurement")
    parser.add_argument("--replicas", type=int, nargs="+", default=REPLICAS)
    parser.add_argument("--no-compile", action="store_true", help="leave the compiled rows out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    model = load(arguments.model) if arguments.model else untrained([1, 6, 8])
    trajcast = load("trajcast-ethanol")
    table = Table("force_network")
    teacher = statistics.median(reference_speed(200) for _ in range(arguments.repeats))
    table.add("GFN2-xTB, velocity Verlet 0.5 fs, one replica", teacher * 86400e-6, "ns/day", seeds=arguments.repeats)
    for replicas in arguments.replicas:
        for compiled in (False, True) if replicas in COMPILED and not arguments.no_compile else (False,):
            how = f"{replicas} replica(s), {'compiled' if compiled else 'eager'}"
            base = None
            for name, conservative in (("forces as vectors", False), ("forces as a gradient", True)):
                if compiled and conservative:
                    continue
                step = forces(model, replicas, compiled=compiled, conservative=conservative)
                found = statistics.median(speed(step, TIMESTEP, replicas, arguments.repeats, arguments.budget))
                base = base or found
                table.add(f"force network, {name}, {how}", found * 86400e-6, "ns/day", seeds=arguments.repeats)
            for label, bundled, options in ROWS:
                if compiled and "reversible" in label:  # the same compiled forecast as in direct steps, four of them
                    continue
                step, interval = forecasting(trajcast if bundled else model, replicas, compiled=compiled, **options)
                found = statistics.median(speed(step, interval, replicas, arguments.repeats, arguments.budget))
                table.add(f"{label}, {how}: speed", found * 86400e-6, "ns/day", seeds=arguments.repeats)
                assert base is not None
                table.add(f"{label}, {how}: over the force network", found / base, "x", seeds=arguments.repeats)
                table.add(f"{label}, {how}: over GFN2-xTB", found / teacher, "x", seeds=arguments.repeats)
            table.save()


if __name__ == "__main__":
    main()
