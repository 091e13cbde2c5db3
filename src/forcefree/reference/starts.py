"""Start structures: files, bundled and ASE names, SMILES."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.io import read

from forcefree.errors import ForcefreeError
from forcefree.reference.config import StartConfig

BUNDLED = {"ethanol": "CH3CH2OH", "water": "H2O", "methane": "CH4"}
"""Everyday names of molecules of ASE's G2 collection."""


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
        raise ForcefreeError(f"start structure {path} cannot be read ({type(error).__name__}: {error}); is it complete?") from error
    if isinstance(atoms, list):
        atoms = atoms[-1]
    return check_structure(atoms, str(path))


def check_structure(atoms: Atoms, source: str) -> Atoms:
    """Refuse structures that no dynamics can start from.

    Raises:
        ForcefreeError: If there are no atoms, unknown elements, or NaN or overlapping positions.
    """
    if len(atoms) == 0:
        raise ForcefreeError(f"{source} has zero atoms; at least one atom is needed")
    if not bool(np.isfinite(atoms.positions).all()):
        worst = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise ForcefreeError(f"{source} has a position that is not a finite number (atom {worst}); mend the file")
    if bool((atoms.numbers < 1).any()):
        raise ForcefreeError(f"{source} has an atom without an element (atomic number {int(atoms.numbers.min())})")
    if len(atoms) > 1:
        distances = atoms.get_all_distances(mic=bool(atoms.pbc.any()))
        np.fill_diagonal(distances, np.inf)
        if distances.min() < 0.4:
            i, j = np.unravel_index(int(distances.argmin()), distances.shape)
            raise ForcefreeError(
                f"{source} has atoms {i} and {j} only {distances.min():.3f} Å apart; no two atoms come closer than 0.4 Å, check the units"
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
            f"'{name}' is neither a file nor a known start; bundled are {', '.join(BUNDLED)}, others are names of ASE's G2 collection"
        ) from error


def _from_smiles(smiles: str, seed: int) -> Atoms:
    try:
        from rdkit import Chem, RDLogger
        from rdkit.Chem import AllChem
    except ImportError as error:
        raise ForcefreeError("a SMILES start needs RDKit; install it with: pip install 'forcefree[rdkit]'") from error
    RDLogger.DisableLog("rdApp.*")
    parsed = Chem.MolFromSmiles(smiles)
    if parsed is None or parsed.GetNumAtoms() == 0:
        raise ForcefreeError(f"'{smiles}' is not a SMILES string that RDKit understands")
    molecule_with_hydrogens = Chem.AddHs(parsed)
    if AllChem.EmbedMolecule(molecule_with_hydrogens, randomSeed=seed + 1) != 0:  # type: ignore[attr-defined]
        raise ForcefreeError(f"RDKit could not embed '{smiles}' in three dimensions; give a structure file instead")
    AllChem.MMFFOptimizeMolecule(molecule_with_hydrogens)  # type: ignore[attr-defined]
    numbers = [atom.GetAtomicNum() for atom in molecule_with_hydrogens.GetAtoms()]
    return Atoms(numbers, positions=molecule_with_hydrogens.GetConformer().GetPositions())
