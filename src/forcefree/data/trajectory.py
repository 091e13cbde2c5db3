"""One trajectory in memory: what every reader returns and every writer takes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forcefree.errors import ForcefreeError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trajectory:
    """Frames of one system at increasing times, in Å, fs, eV and amu.

    Attributes:
        name: Name inside the store, such as ``run_0003``.
        numbers: Atomic numbers, shape (n_atoms,).
        masses: amu, shape (n_atoms,).
        times: fs, strictly increasing, shape (n_frames,).
        positions: Å, unwrapped, shape (n_frames, n_atoms, 3).
        velocities: Å/fs, shape (n_frames, n_atoms, 3), or None where only positions are known.
        energies: Potential energy in eV, shape (n_frames,), or None.
        forces: eV/Å, shape (n_frames, n_atoms, 3), or None.
        cell: Rows are cell vectors in Å, shape (3, 3); zeros for an isolated system.
        pbc: Which cell vectors are periodic, shape (3,).
        provenance: Plain JSON values that say how the frames were made (temperature, ensemble, level of theory, ...).
    """

    name: str
    numbers: NDArray[np.int64]
    masses: Floats
    times: Floats
    positions: Floats
    velocities: Floats | None = None
    energies: Floats | None = None
    forces: Floats | None = None
    cell: Floats = field(default_factory=lambda: np.zeros((3, 3)))
    pbc: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(3, dtype=bool))
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frames, atoms = self.positions.shape[:2]
        if atoms == 0:
            raise ForcefreeError(f"trajectory '{self.name}' has zero atoms; at least one atom is needed")
        shapes = {
            "numbers": (self.numbers.shape, (atoms,)),
            "masses": (self.masses.shape, (atoms,)),
            "times": (self.times.shape, (frames,)),
            "velocities": (None if self.velocities is None else self.velocities.shape, (frames, atoms, 3)),
            "energies": (None if self.energies is None else self.energies.shape, (frames,)),
            "forces": (None if self.forces is None else self.forces.shape, (frames, atoms, 3)),
        }
        for noun, (found, expected) in shapes.items():
            if found is not None and found != expected:
                raise ForcefreeError(f"trajectory '{self.name}' has {noun} of shape {found}, expected {expected}")
        if frames > 1 and not bool((np.diff(self.times) > 0).all()):
            raise ForcefreeError(f"trajectory '{self.name}' has times that do not increase; sort its frames by time")

    def __len__(self) -> int:
        return len(self.times)

    @property
    def spacing(self) -> float:
        """Time between frames in fs, where all are equally spaced.

        Raises:
            ForcefreeError: If there are fewer than two frames or the spacing varies by more than one part in 10^4.
        """
        if len(self) < 2:
            raise ForcefreeError(f"trajectory '{self.name}' has {len(self)} frame; at least two are needed for a spacing")
        steps = np.diff(self.times)
        if not np.allclose(steps, steps[0], rtol=1e-4, atol=1e-9):
            raise ForcefreeError(
                f"trajectory '{self.name}' has frames {steps.min():g} to {steps.max():g} fs apart; equally spaced frames are needed"
            )
        return float(steps.mean())

    def frames(self, start: int, stop: int, stride: int = 1) -> Trajectory:
        """The same trajectory with only every ``stride``-th frame of [start, stop)."""
        chosen = slice(start, stop, stride)
        return replace(
            self,
            times=self.times[chosen],
            positions=self.positions[chosen],
            velocities=None if self.velocities is None else self.velocities[chosen],
            energies=None if self.energies is None else self.energies[chosen],
            forces=None if self.forces is None else self.forces[chosen],
        )
