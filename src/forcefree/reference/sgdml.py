"""sGDML force fields as ASE calculators (Chmiela et al., Nat. Commun. 9, 3887, 2018)."""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from forcefree.errors import ForcefreeError
from forcefree.units import KCAL_PER_MOL

_REQUIRED = ("z", "sig", "c", "std", "R_desc", "R_d_desc_alpha", "perms", "tril_perms_lin")


class SymmetricGradientDomain(Calculator):  # type: ignore[misc]
    """Energies in eV and forces in eV/Å of an sGDML model whose own units are kcal/mol and Å.

    The model holds for one molecule in the atom order of its training data, near the temperature it was trained at;
    trajectories made with it are surrogates of the method behind its training data.

    Args:
        model: Path of the model's npz file.
        kwargs: Passed on to ASE's ``Calculator``.

    Raises:
        ImportError: If the package sgdml is not installed.
        ForcefreeError: If the file is missing or is not an sGDML model.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, model: str | Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        predictor = _predictor()
        values = load_model(Path(model))
        self._numbers = np.asarray(values["z"], dtype=np.int64)
        self._predict = predictor(values, log_level=logging.ERROR)

    def calculate(self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes) -> None:
        """Compute energy and forces of the current structure.

        Raises:
            ForcefreeError: If the atoms are not the model's, in its order.
        """
        super().calculate(atoms, properties or ["energy"], system_changes)
        if not np.array_equal(self.atoms.numbers, self._numbers):
            wanted = Atoms(self._numbers).get_chemical_formula(mode="reduce")
            raise ForcefreeError(
                f"this sGDML model is for atoms in the order {wanted}, not {self.atoms.get_chemical_formula(mode='reduce')}; reorder the structure"
            )
        positions = torch.tensor(self.atoms.positions[None], dtype=torch.float64)
        with torch.no_grad():
            energies, forces = self._predict(positions)
        self.results = {
            "energy": float(energies[0]) * KCAL_PER_MOL,
            "forces": forces[0].cpu().numpy().astype(np.float64) * KCAL_PER_MOL,
        }


def _predictor() -> Callable[..., Any]:
    """The package's torch predictor; the package replaces Python's logger class when imported, which is undone here.

    It is undone before torch is imported through the package, or torch's own loggers would be of that class for good.
    """
    logger = logging.getLoggerClass()
    try:
        import sgdml  # noqa: F401

        logging.setLoggerClass(logger)
        from sgdml.torchtools import GDMLTorchPredict
    except ImportError as error:
        raise ImportError(
            "an sGDML model needs the package sgdml; install it with: pip install 'forcefree[sgdml]'", name="sgdml"
        ) from error
    finally:
        logging.setLoggerClass(logger)
    return GDMLTorchPredict  # type: ignore[no-any-return]


def load_model(path: Path) -> dict[str, Any]:
    """Arrays of a model file in the layout of today's package.

    Raises:
        ForcefreeError: If the file is missing or is not an sGDML model.
    """
    if not path.is_file():
        raise ForcefreeError(f"sGDML model {path} does not exist")
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {key: file[key] for key in file.files if file[key].dtype != object}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ForcefreeError(f"{path} cannot be read as an npz file ({error}); it may be truncated") from error
    missing = [key for key in _REQUIRED if key not in values]
    if missing:
        raise ForcefreeError(f"{path} is not an sGDML model; it lacks {', '.join(missing)}")
    return _modern(values, path)


def _modern(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """The layout of today's package: descriptors (n_pairs, n_train) and permutations that count from zero."""
    atoms = len(values["z"])
    pairs = atoms * (atoms - 1) // 2
    descriptors, permutations = np.asarray(values["R_desc"]), np.asarray(values["perms"], dtype=np.int64)
    from_one = permutations.min() == 1
    if descriptors.shape[0] != pairs or (from_one and descriptors.shape[1] == pairs):
        descriptors = descriptors.T
    permutations = permutations - from_one
    identity = permutations.shape[1:] == (atoms,) and bool((permutations == np.arange(atoms)).all(axis=1).any())
    if descriptors.shape[0] != pairs or values["R_d_desc_alpha"].shape != descriptors.shape[::-1] or not identity:
        raise ForcefreeError(f"{path} is a damaged sGDML model: its arrays do not fit {atoms} atoms; download it again")
    return {**values, "R_desc": descriptors, "perms": permutations}
