"""Start structures of the configurations in this folder; written by ``python starts.py`` in this folder.

Crystals come from ASE's builders, with the lattice constants of their potentials; liquids start on a lattice at the wanted density,
and melt while they are equilibrated. Alanine dipeptide is embedded by RDKit and named as Amber's force fields expect it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from ase.data import atomic_masses
from ase.io import write
from ase.spacegroup import crystal

ARGON_DENSITY = 1.374
"""g/cm^3, liquid argon at 94 K (Rahman, Phys. Rev. 136, A405, 1964)."""

GRAMS_PER_AMU = 1.66053907e-24

WATER_EDGE = 12.4172
"""Å, of the cubic cell of 64 molecules at 1.0 g/cm^3."""


def diamond() -> Atoms:
    """64 atoms at the lattice constant of Tersoff's carbon."""
    return bulk("C", "diamond", a=3.566, cubic=True).repeat((2, 2, 2))


def copper() -> Atoms:
    """108 atoms, face-centred cubic."""
    return bulk("Cu", "fcc", a=3.615, cubic=True).repeat((3, 3, 3))


def argon() -> Atoms:
    """125 atoms in a triclinic cell, a sheared cube, at the density of the liquid."""
    spacing = (atomic_masses[18] * GRAMS_PER_AMU / ARGON_DENSITY * 1e24) ** (1.0 / 3.0)
    cell = spacing * np.array([[1.0, 0.0, 0.0], [0.3, 1.0, 0.0], [0.2, -0.2, 1.0]])
    return Atoms("Ar", cell=cell, pbc=True).repeat((5, 5, 5))


def quartz() -> Atoms:
    """162 atoms of alpha-quartz (P3_121), 3 x 3 x 2 cells with the lattice constants of the BKS potential."""
    positions = [(0.4697, 0.0, 1.0 / 3.0), (0.4135, 0.2669, 0.2142)]
    cell = crystal(["Si", "O"], positions, spacegroup=152, cellpar=[4.941, 4.941, 5.449, 90, 90, 120])
    return make_supercell(cell, np.diag([3, 3, 2]))


def water() -> Atoms:
    """64 molecules at random orientations on a lattice."""
    rng = np.random.default_rng(7)
    spacing = WATER_EDGE / 4
    liquid = Atoms(cell=[WATER_EDGE] * 3, pbc=True)
    for place in np.ndindex(4, 4, 4):
        one = molecule("H2O")
        one.set_distance(0, 1, 1.0, fix=0)
        one.set_distance(0, 2, 1.0, fix=0)
        one.euler_rotate(*rng.uniform(0.0, 360.0, 3), center="COM")
        one.translate(spacing * (np.array(place) + 0.5) - one.get_center_of_mass())
        liquid += one
    return liquid


def alanine_dipeptide() -> str:
    """A PDB file of the 22 atoms, capped by acetyl and N-methyl."""
    from rdkit import Chem
    from rdkit.Chem.rdDistGeom import EmbedMolecule
    from rdkit.Chem.rdForceFieldHelpers import MMFFOptimizeMolecule

    dipeptide = Chem.AddHs(Chem.MolFromSmiles("CC(=O)N[C@@H](C)C(=O)NC"))
    EmbedMolecule(dipeptide, randomSeed=11)
    MMFFOptimizeMolecule(dipeptide)
    heavy = ["ACE CH3", "ACE C", "ACE O", "ALA N", "ALA CA", "ALA CB", "ALA C", "ALA O", "NME N", "NME C"]
    hydrogens = {"CH3": ("HH31", "HH32", "HH33"), "N": ("H",), "CA": ("HA",), "CB": ("HB1", "HB2", "HB3"), "C": ("H1", "H2", "H3")}
    places = dipeptide.GetConformer().GetPositions()
    lines, residues = [], ["ACE", "ALA", "NME"]
    for index, label in enumerate(heavy):
        residue, name = label.split()
        bonded = [n.GetIdx() for n in dipeptide.GetAtomWithIdx(index).GetNeighbors() if n.GetAtomicNum() == 1]
        members = [(name, index), *zip(hydrogens.get(name, ()), bonded, strict=False)]
        lines += [(residues.index(residue) + 1, residue, *member) for member in members]
    rows = []
    for serial, (number, residue, name, index) in enumerate(lines, start=1):
        x, y, z = places[index]
        element = dipeptide.GetAtomWithIdx(index).GetSymbol()
        rows.append(
            f"ATOM  {serial:5d} {name if len(name) == 4 else ' ' + name:<4s} {residue} A{number:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00{element:>12s}"
        )
    return "\n".join([*rows, "TER", "END"]) + "\n"


if __name__ == "__main__":
    for build in (diamond, copper, argon, quartz, water):
        atoms = build()
        write(f"{build.__name__}.xyz", Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True), format="extxyz")
    Path("alanine-dipeptide.pdb").write_text(alanine_dipeptide())
