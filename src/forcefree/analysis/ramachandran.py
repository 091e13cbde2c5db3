"""Maps of two backbone dihedrals, and how far two of them are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forcefree.analysis.distributions import jensen_shannon
from forcefree.analysis.geometry import dihedrals
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.errors import ForcefreeError

Quartet = tuple[int, int, int, int]


@dataclass(frozen=True)
class RamachandranMap:
    """How often the dihedrals phi and psi were where.

    Attributes:
        counts: Frames in each cell; rows are phi, columns psi, both from -180 to 180 degrees, shape (n_bins, n_bins).
    """

    counts: Floats

    @classmethod
    def of(cls, runs: Sequence[Trajectory], phi: Quartet, psi: Quartet, n_bins: int = 24) -> RamachandranMap:
        """Count the frames of runs of an isolated molecule.

        Args:
            runs: All of the same atoms in the same order.
            phi: Atoms of the first dihedral, such as C-N-CA-C.
            psi: Atoms of the second, such as N-CA-C-N.
            n_bins: Cells along each angle.

        Raises:
            ForcefreeError: If there are no frames, or a dihedral names an atom that is not there.
        """
        if not any(len(run) for run in runs):
            raise ForcefreeError("there are no frames to make a Ramachandran map of")
        stranger = next((atom for atom in (*phi, *psi) if not 0 <= atom < len(runs[0].numbers)), None)
        if stranger is not None:
            raise ForcefreeError(f"a dihedral names atom {stranger}, but the runs have atoms 0 to {len(runs[0].numbers) - 1}")
        angles = [np.stack([_dihedral(run, quartet) for quartet in (phi, psi)]) for run in runs]
        first, second = np.concatenate(angles, axis=1)
        counts = np.histogram2d(first, second, bins=n_bins, range=[[-180.0, 180.0], [-180.0, 180.0]])[0]
        return cls(np.asarray(counts, dtype=np.float64))

    @property
    def free_energy(self) -> Floats:
        """Free energy over kT of each cell above the deepest one; infinite where no frame was."""
        with np.errstate(divide="ignore"):
            energies = -np.log(self.counts / self.counts.max())
        return np.asarray(energies)

    def distance(self, other: RamachandranMap) -> float:
        """Jensen-Shannon distance, 0 for the same shares and 1 for maps without a common cell."""
        return float(jensen_shannon(self.counts.ravel(), other.counts.ravel()))

    def free_energy_error(self, reference: RamachandranMap, depth: float = 4.0) -> float:
        """Root mean square difference of free energies over kT, weighted by the reference's shares.

        Args:
            reference: What is right. Cells count that lie within ``depth`` of its deepest one.
            depth: In kT. A cell that this map never saw counts as one frame, so that the error stays finite.

        Returns:
            In kT; a constant between the two maps does not count.
        """
        chosen = reference.free_energy <= depth
        weights = reference.counts[chosen] / reference.counts[chosen].sum()
        seen = np.maximum(self.counts[chosen], 1.0)
        difference = np.log(reference.counts[chosen]) - np.log(seen)
        return float(np.sqrt(weights @ (difference - weights @ difference) ** 2))


def _dihedral(run: Trajectory, quartet: Quartet) -> Floats:
    first, second, third, fourth = (run.positions[:, atom].astype(np.float64) for atom in quartet)
    return dihedrals(second - first, third - second, fourth - third)
