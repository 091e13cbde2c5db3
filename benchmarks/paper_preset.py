"""One forward pass of TrajCast's ``paper`` preset on one thread, beside what the public code needs on a machine like this.

Three systems: a paracetamol molecule, 216 atoms of alpha-quartz, 64 molecules of water. The cutoff is the published one, widened
where needed until there are as many pairs as in the public measurement. Every case runs in a fresh process. Times are processor
time, so that other processes count little (they still share the cache); wall time is printed beside. With e3nn installed, its
product for one block is timed as well, which tells how fast this machine is today: 17 ms where the public figures were measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal
from rows import Table
from torch import Tensor

from forcefree.benchmark.peak_memory import forget_peak_memory, peak_memory
from forcefree.memory import keep_freed_memory
from forcefree.models.tensor_network import TensorNetwork
from forcefree.models.trajcast_config import TrajCastConfig
from forcefree.nn.pair_list import PairList
from forcefree.units import BOLTZMANN, KINETIC_UNIT

PARACETAMOL = """C -3.704 0.165 -0.280  C -2.378 -0.428 0.129  O -2.329 -1.500 0.721  N -1.311 0.358 -0.267  C 0.062 0.111 -0.058
C 0.562 -1.003 0.619  C 1.941 -1.172 0.784  C 2.821 -0.228 0.273  O 4.155 -0.434 0.459  C 2.345 0.889 -0.403  C 0.966 1.055 -0.567
H -3.694 1.254 -0.176  H -4.493 -0.230 0.366  H -3.916 -0.104 -1.318  H -1.535 1.205 -0.773  H -0.093 -1.764 1.033
H 2.321 -2.042 1.312  H 4.644 0.299 0.052  H 3.023 1.634 -0.806  H 0.611 1.934 -1.098"""

CASES = {"molecule": (4.0, 244, 88.0), "quartz": (4.5, 8316, 3200.0), "water": (6.0, 16170, 7000.0)}
"""Published cutoff in Å, pairs and milliseconds of the public code."""

E3NN_HERE = 17.0  # ms for 240 pairs where the public code was measured


def molecule() -> Atoms:
    """Paracetamol in an MMFF geometry."""
    fields = np.array(PARACETAMOL.split()).reshape(-1, 4)
    return Atoms(list(fields[:, 0]), positions=fields[:, 1:].astype(float))


def quartz() -> Atoms:
    """Alpha-quartz (Levien, Prewitt and Weidner, Am. Mineral. 65, 920, 1980), 4 x 3 x 2 cells, with thermal disorder."""
    cell = crystal(
        ["Si", "O"], [(0.4697, 0.0, 2 / 3), (0.4135, 0.2669, 0.7858)], spacegroup=154, cellpar=[4.9137, 4.9137, 5.4047, 90, 90, 120]
    )
    supercell = cell.repeat((4, 3, 2))
    supercell.rattle(0.05, seed=0)
    return supercell


def water() -> Atoms:
    """64 molecules on a grid in a box of 12.42 Å, turned at random."""
    rng = np.random.default_rng(0)
    box = 12.42
    shape = np.array([[0.0, 0.0, 0.0], [0.9572, 0.0, 0.0], [-0.2400, 0.9266, 0.0]])
    total = Atoms(cell=[box] * 3, pbc=True)
    for site in np.ndindex(4, 4, 4):
        turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        total += Atoms("OHH", positions=shape @ turn + (np.array(site) + 0.5) * box / 4)
    return total


def inputs(case: str) -> tuple[TensorNetwork, tuple[PairList, Tensor, Tensor, Tensor], float]:
    """Network, arguments of its forward pass, and the cutoff in Å."""
    atoms = {"molecule": molecule, "quartz": quartz, "water": water}[case]()
    nominal, wanted, _ = CASES[case]
    receiver, sender, distance, vector = neighbor_list("ijdD", atoms, nominal + 1.5)
    cutoff = max(nominal, float(np.sort(distance)[wanted - 1]) + 1e-4)
    near = distance < cutoff
    torch.manual_seed(0)
    elements, species = np.unique(atoms.numbers, return_inverse=True)
    config = TrajCastConfig(preset="paper", head="fixed", neighbours=near.sum() / len(atoms))
    network = TensorNetwork(config, len(elements), cutoff, 2)
    spread = np.sqrt(BOLTZMANN * 300.0 / (KINETIC_UNIT * atoms.get_masses()))[:, None]
    velocities = torch.randn(len(atoms), 3) * torch.tensor(spread, dtype=torch.float32)
    pairs = PairList(torch.tensor(vector[near]).float(), torch.tensor(receiver[near]), torch.tensor(sender[near]), 0)
    return network, (pairs, velocities, torch.tensor(species), torch.ones(len(atoms), 2)), cutoff


def timed(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median processor and wall milliseconds."""
    processor, wall = [], []
    for _ in range(repeats):
        begun = time.process_time(), time.perf_counter()
        work()
        processor.append(time.process_time() - begun[0])
        wall.append(time.perf_counter() - begun[1])
    return 1e3 * statistics.median(processor), 1e3 * statistics.median(wall)


def measure(case: str, compiled: bool, threads: int, repeats: int) -> dict[str, float]:
    """Everything about one case, in this process."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    network, arguments, cutoff = inputs(case)
    result = {"cutoff": cutoff, "edges": float(len(arguments[0].receiver)), "atoms": float(len(arguments[1]))}
    with torch.inference_mode():
        if compiled:
            network.compile_parts()
        before = forget_peak_memory()
        begun = time.perf_counter()
        network(*arguments)
        result["first"] = time.perf_counter() - begun
        for _ in range(3):
            network(*arguments)
        result["memory"] = 1024 * (peak_memory() - before)
        count = repeats * (10 if case == "molecule" else 1)
        result["processor"], result["wall"] = timed(lambda: network(*arguments), count)
    return result


def e3nn_milliseconds(repeats: int) -> float | None:
    """Gather, product and sum of e3nn for one block with 240 pairs and 64 channels, or None without e3nn."""
    try:
        from e3nn import o3
    except ImportError:
        return None
    torch.set_num_threads(1)
    features, harmonics = o3.Irreps("64x0o+64x0e+64x1o+64x1e+64x2o+64x2e"), o3.Irreps("1x0e+1x1o+1x2e")
    results, instructions = [], []
    for i, (count, left) in enumerate(features):
        for j, (_, right) in enumerate(harmonics):
            for result in left * right:
                if result.l <= 2:
                    instructions.append((i, j, len(results), "uvu", True))
                    results.append((count, result))
    product = o3.TensorProduct(features, harmonics, o3.Irreps(results), instructions, shared_weights=False, internal_weights=False)
    h, y, w = torch.randn(20, features.dim), torch.randn(240, 9), torch.randn(240, product.weight_numel)
    i, j = torch.randint(0, 20, (2, 240))
    with torch.inference_mode():
        return timed(lambda: torch.zeros(20, product.irreps_out.dim).index_add_(0, i, product(h[j], y, w)), 10 * repeats)[0]


def in_fresh_process(*arguments: str) -> dict[str, float]:
    """Run this file for one case, nothing compiled before, and read its result."""
    command = [sys.executable, str(Path(__file__)), *arguments]
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(table: Table, arguments: argparse.Namespace, scale: float) -> None:
    """All cases, eager and compiled; public times are scaled to what they would be on this machine."""
    for case, (_, _, published) in CASES.items():
        public = scale * published
        for mode in ("eager", "compiled"):
            options = ["--case", case, "--mode", mode, "--threads", str(arguments.threads), "--repeats", str(arguments.repeats)]
            found = in_fresh_process(*options)
            what = f"{case}, {found['atoms']:.0f} atoms, {found['edges']:.0f} pairs, cutoff {found['cutoff']:.2f} Å, {mode}"
            table.add(f"{what}: forward", found["processor"], "ms", at_most=public / 20.0, seeds=1)
            table.add(f"{what}: public code, scaled to this machine, over this", public / found["processor"], "x", at_least=20.0, seeds=1)
            table.add(f"{what}: wall time", found["wall"], "ms", seeds=1)
            if mode == "eager":
                table.add(f"{what}: peak memory above the start", found["memory"], "MiB", seeds=1)
            else:
                table.add(f"{what}: first pass, with compilation", found["first"], "s", seeds=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--repeats", type=int, default=10, help="forward passes of a bulk system; ten times as many of the molecule")
    parser.add_argument("--case", choices=tuple(CASES), help="measure one case in this process and print it as JSON")
    parser.add_argument("--mode", choices=("eager", "compiled"), default="eager")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(arguments.case, arguments.mode == "compiled", arguments.threads, arguments.repeats)))
        return
    table = Table("paper_preset")
    oracle = e3nn_milliseconds(arguments.repeats)
    if oracle is not None:
        table.add(f"e3nn, product of one block, 240 pairs ({E3NN_HERE:g} ms where the public code was measured)", oracle, "ms", seeds=1)
    report(table, arguments, 1.0 if oracle is None else oracle / E3NN_HERE)
    table.save()


if __name__ == "__main__":
    main()
