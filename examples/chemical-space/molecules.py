"""Choose the molecules of the chemical-space set: which ones, and which of them no training may see.

    python molecules.py --output molecules.yaml

Closed-shell molecules of ASE's G2 collection and those that grow, bond by bond, from one heavy atom; H, C, N and O, three to nine atoms
or as many as asked for.
Each is relaxed with GFN2-xTB and shaken for 0.3 ps at 700 K; one that does not keep its bonds is left out. What is written
is the ``start`` list of ``reference.yaml`` and the ``held_out`` list of ``train.yaml``. Takes about five minutes.

The list of ``more.yaml``, none of which is in ``reference.yaml``, is

    python molecules.py --beside reference.yaml --molecules 300 --held-out 0 --largest 12 --output more-molecules.yaml
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml
from ase import Atoms, units
from ase.build import molecule
from ase.collections import g2
from ase.data import covalent_radii
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from forcefree.errors import ForcefreeError
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig, StartConfig
from forcefree.reference.starts import load_start

HEAVIEST = 5
ELEMENTS = {1, 6, 7, 8}
REACTIVE = {"CH2_s1A1d", "O3"}
BONDS = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)
UNWANTED = [
    Chem.MolFromSmarts(pattern)
    for pattern in (
        "[+,-]",
        "[N;!R]=N",
        "O[N;r3]",
        "NN#*",
        "[N,O,n,o]~[N,O,n,o]~[N,O,n,o]",
        "[o,O]~[o,O]",
        "[N,O;r3]~[N,O;r3]",
        "[r3,r4]=,:*",
        "[r3,r4]=[r3,r4]",
        "[R]=[R]=[R]",
        "[r]#*",
        "*=*=[N,O]",
        "[N,O]=*=*",
        "C=C=C=C",
        "C#C[N,O]",
        "N#CO",
        "[OX2H]C[OX2H]",
        "[N,O]~*(~[N,O])~[N,O]",
    )
]


def grown(largest: int) -> list[str]:
    """SMILES of neutral molecules of C, N and O with at most five heavy atoms and ``largest`` atoms, sorted."""
    found: set[str] = set()
    front = {"C", "N", "O"}
    while front:
        found |= front
        front = {smiles for one in front for smiles in _larger(one)} - found
    return sorted(smiles for smiles in found if _wanted(Chem.MolFromSmiles(smiles), largest))


def _larger(smiles: str) -> Iterator[str]:
    """The molecule with one more atom or one more ring."""
    parent = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(parent, clearAromaticFlags=True)
    size = parent.GetNumAtoms()
    for kind in BONDS:
        for first in range(size):
            if size < HEAVIEST:
                for number in (6, 7, 8):
                    child = Chem.RWMol(parent)
                    child.AddBond(first, child.AddAtom(Chem.Atom(number)), kind)
                    yield from _sane(child)
            for second in range(first):
                if parent.GetBondBetweenAtoms(first, second) is None:
                    child = Chem.RWMol(parent)
                    child.AddBond(first, second, kind)
                    yield from _sane(child)


def _sane(child: Chem.RWMol) -> Iterator[str]:
    with BlockLogs():
        if Chem.SanitizeMol(child, catchErrors=True) == Chem.SanitizeFlags.SANITIZE_NONE and child.GetRingInfo().NumRings() < 2:
            yield Chem.MolToSmiles(child)


def _wanted(graph: Chem.Mol, largest: int) -> bool:
    return 3 <= Chem.AddHs(graph).GetNumAtoms() <= largest and not any(graph.HasSubstructMatch(pattern) for pattern in UNWANTED)


def collected(largest: int) -> list[str]:
    """Names of ASE's G2 molecules that fit."""
    fitting = []
    for name in sorted(set(g2.names) - REACTIVE):
        atoms = molecule(name)
        closed = atoms.numbers.sum() % 2 == 0 and not atoms.get_initial_magnetic_moments().any()
        if set(atoms.numbers) <= ELEMENTS and closed and 3 <= len(atoms) <= largest:
            fitting.append(name)
    return fitting


def skeleton(atoms: Atoms) -> str:
    """SMILES of who is bonded to whom, without bond orders: the same for all conformers of a molecule."""
    graph = Chem.RWMol()
    for number in atoms.numbers:
        atom = Chem.Atom(int(number))
        atom.SetNoImplicit(True)
        graph.AddAtom(atom)
    for first, second in _bonds(atoms, 1.3):
        graph.AddBond(first, second, BONDS[0])
    return str(Chem.MolToSmiles(graph))


def _bonds(atoms: Atoms, tolerance: float) -> list[tuple[int, int]]:
    radii = covalent_radii[atoms.numbers]
    near = atoms.get_all_distances() < tolerance * (radii[:, None] + radii)
    return [(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(near, 1)), strict=True)]


def settled(start: StartConfig, seed: int) -> str | None:
    """Skeleton of the relaxed molecule, or None where it is another one then or falls apart when it is shaken."""
    rng = np.random.default_rng(seed)
    try:
        atoms = load_start(start)
    except ForcefreeError:
        return None
    before = skeleton(atoms)
    atoms.calc = build_calculator(CalculatorConfig())
    try:
        BFGS(atoms, logfile=None).run(fmax=0.01, steps=300)
        after = skeleton(atoms)
        bonds = _bonds(atoms, 1.3)
        MaxwellBoltzmannDistribution(atoms, temperature_K=700.0, rng=rng)
        Langevin(atoms, 0.5 * units.fs, temperature_K=700.0, friction=0.02 / units.fs, rng=rng).run(600)
    except Exception:  # whatever the calculator raises, a molecule that it cannot do is no use here
        return None
    return before if before == after and set(bonds) <= set(_bonds(atoms, 1.6)) and len(_bonds(atoms, 1.2)) <= len(bonds) else None


def starts_of(path: Path) -> list[StartConfig]:
    """Start structures of a reference configuration."""
    return [StartConfig.model_validate(start) for start in yaml.safe_load(path.read_text())["start"]]


def main() -> None:
    """Print the two lists."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecules", type=int, default=175)
    parser.add_argument("--held-out", type=int, default=25)
    parser.add_argument("--largest", type=int, default=9, help="atoms")
    parser.add_argument("--beside", type=Path, help="a reference configuration whose molecules are left out")
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--output", type=Path, default=Path("molecules.yaml"))
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    chosen: dict[str, StartConfig] = {}
    taken = starts_of(arguments.beside) if arguments.beside else []
    skeletons = {skeleton(load_start(start)) for start in taken}
    known = [StartConfig(name=name) for name in collected(arguments.largest)]
    candidates = [StartConfig(smiles=smiles) for smiles in rng.permutation(grown(arguments.largest))]
    for start in [*known, *candidates]:
        if len(chosen) == arguments.molecules:
            break
        found = None if start in taken else settled(start, arguments.seed)
        if found is not None and found not in skeletons:
            chosen.setdefault(found, start)
    starts = list(chosen.values())
    eligible = [start.label for start in starts if start.label != "CH3CH2OH"]
    values = {
        "start": [start.model_dump(exclude_none=True) for start in starts],
        "held_out": sorted(rng.choice(eligible, arguments.held_out, replace=False).tolist()),
    }
    arguments.output.write_text(yaml.safe_dump(values, sort_keys=False, width=140, default_flow_style=None))


if __name__ == "__main__":
    main()
