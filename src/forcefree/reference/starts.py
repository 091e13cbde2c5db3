"""Start structures: files, bundled and ASE names, SMILES."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.data import atomic_numbers
from ase.io import read
from ase.neighborlist import neighbor_list

from forcefree.errors import ForcefreeError
from forcefree.reference.config import StartConfig

BUNDLED = {"ethanol": "CH3CH2OH", "water": "H2O", "methane": "CH4"}
"""Everyday names of molecules of ASE's G2 collection."""

CLOSEST = 0.4
"""Å; two atoms nearer than this are a mistake, or a mix-up of units."""

_LONGEST_SYMBOL = 3


def load_start(config: StartConfig, *, seed: int = 0) -> Atoms:
    """Build the start structure.

    Args:
        config: Which structure.
        seed: Random seed of the SMILES embedding.

    Returns:
        Atoms with finite positions that do not overlap.

    Raises:
        ForcefreeError: If it cannot be read or built, is empty, or has NaN or overlapping positions.
    """
    if config.file is not None:
        return read_structure(config.file)
    if config.smiles is not None:
        return check_structure(_from_smiles(config.smiles, seed), f"SMILES '{config.smiles}'")
    return check_structure(_from_name(str(config.name)), f"'{config.name}'")


def bundled_starts() -> list[str]:
    """Names of starts that come with the package; those of ASE's G2 collection are known too."""
    folder = Path(str(resources.files("forcefree.models") / "bundled"))
    return sorted({*BUNDLED, *(path.stem for path in folder.glob("*.xyz"))})


def find_start(text: str) -> Atoms:
    """A structure file if ``text`` is an existing path, otherwise a bundled or ASE name."""
    path = Path(text)
    if path.is_file():
        return read_structure(path)
    if path.suffix:
        raise ForcefreeError(f"start structure {path} does not exist")
    return check_structure(_from_name(text), f"'{text}'")


def read_structure(path: Path) -> Atoms:
    """Read the last frame of a structure file.

    Raises:
        ForcefreeError: If it is missing, of unknown format, truncated, empty, or has unusable positions.
    """
    if not path.is_file():
        raise ForcefreeError(f"start structure {path} does not exist")
    try:
        atoms = read(path)
    except Exception as error:  # ASE's readers raise whatever their parsers meet
        raise ForcefreeError(f"start structure {path} cannot be read ({reading_failure(error)}); is it complete?") from error
    if isinstance(atoms, list):
        atoms = atoms[-1]
    return check_structure(atoms, str(path))


def reading_failure(error: Exception) -> str:
    """Why ASE could not read a structure, in one line."""
    symbol = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    if 0 < len(symbol) <= _LONGEST_SYMBOL and symbol not in atomic_numbers:
        return f"'{symbol}' is no chemical element"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def check_structure(atoms: Atoms, source: str) -> Atoms:
    """Refuse structures that no dynamics can start from.

    Raises:
        ForcefreeError: If there are no atoms, unknown elements, NaN or overlapping positions, a periodic direction
            without a cell vector, or constraints.
    """
    if len(atoms) == 0:
        raise ForcefreeError(f"{source} has zero atoms; at least one atom is needed")
    if not bool(np.isfinite(atoms.positions).all()):
        worst = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise ForcefreeError(f"{source} has a position that is not a finite number (atom {worst}); mend the file")
    if bool((atoms.numbers < 1).any()):
        raise ForcefreeError(f"{source} has an atom without an element (atomic number {int(atoms.numbers.min())})")
    periodic = atoms.cell.array[atoms.pbc]
    if len(periodic) and not bool(np.isfinite(periodic).all() and np.linalg.matrix_rank(periodic, tol=1e-6) == len(periodic)):
        raise ForcefreeError(f"{source} is periodic but its cell {atoms.cell.array.tolist()} does not span the periodic directions")
    if atoms.constraints:
        raise ForcefreeError(f"{source} has constraints ({atoms.constraints[0]}); every atom moves freely here, so remove them")
    i, j, distances = neighbor_list("ijd", atoms, CLOSEST)
    if len(distances):
        worst = int(distances.argmin())
        raise ForcefreeError(
            f"{source} has atoms {i[worst]} and {j[worst]} only {distances[worst]:.3f} Å apart; "
            f"no two atoms come closer than {CLOSEST} Å, check the units"
        )
    return atoms


def _from_name(name: str) -> Atoms:
    structure = resources.files("forcefree.models") / "bundled" / f"{name}.xyz"
    if structure.is_file():
        with resources.as_file(structure) as path:
            return read_structure(path)
    try:
        return molecule(BUNDLED.get(name, name))
    except KeyError as error:
        raise ForcefreeError(
            f"'{name}' is neither a file nor a known start; bundled are {', '.join(bundled_starts())}, others are names of ASE's G2 collection"
        ) from error


def _from_smiles(smiles: str, seed: int) -> Atoms:
    try:
        from rdkit import Chem
        from rdkit.Chem.rdDistGeom import EmbedMolecule
        from rdkit.Chem.rdForceFieldHelpers import MMFFOptimizeMolecule
        from rdkit.rdBase import BlockLogs
    except ImportError as error:
        raise ForcefreeError("a SMILES start needs RDKit; install it with: pip install 'forcefree[rdkit]'") from error
    with BlockLogs():
        parsed = Chem.MolFromSmiles(smiles)
        if parsed is None or parsed.GetNumAtoms() == 0:
            raise ForcefreeError(f"'{smiles}' is not a SMILES string that RDKit understands")
        with_hydrogens = Chem.AddHs(parsed)
        if EmbedMolecule(with_hydrogens, randomSeed=seed % 2**31) != 0:
            raise ForcefreeError(f"RDKit could not embed '{smiles}' in three dimensions; give a structure file instead")
        MMFFOptimizeMolecule(with_hydrogens)
    numbers = [atom.GetAtomicNum() for atom in with_hydrogens.GetAtoms()]
    charges = [atom.GetFormalCharge() for atom in with_hydrogens.GetAtoms()]
    return Atoms(numbers, positions=with_hydrogens.GetConformer().GetPositions(), charges=charges)
