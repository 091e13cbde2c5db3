"""How the energy head learns: levels, changes inside a window, and forces where the data has them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from forcefree.models.energy_head import EnergyHead
from forcefree.models.forecaster import Forecaster
from forcefree.training.windows import Windows, WindowSource


@dataclass(frozen=True)
class PotentialScales:
    """Root mean squares of what there is to learn, by which errors are divided.

    Attributes:
        level: eV, potential energy beyond the references of the elements, over the root of the number of atoms.
        change: eV, its change over a window, over the root of the number of atoms.
        force: eV/Å, of a component, or None where the data has no forces.
    """

    level: float
    change: float
    force: float | None

    @classmethod
    def fit(cls, head: EnergyHead, source: WindowSource, samples: int = 2048) -> PotentialScales:
        """Measure the scales, and fit the references of the head to what it does not explain yet, by least squares.

        A head that was trained before has its references moved to the level of the new data. Where the data does not tell
        elements apart, as with one molecule, the smallest references serve.

        Args:
            head: Of the model that will be trained.
            source: Windows with energies.
            samples: How many to look at.
        """
        windows = source.draw(samples, 1 << 52)
        assert windows.energies is not None
        state, roots = windows.history[-1], windows.history[-1].sizes.double().sqrt()
        with torch.no_grad():
            composition = head.composition(state)
            missing = windows.energies[0] - head(state)
            head.references += torch.linalg.lstsq(composition, missing[:, None], driver="gelsd").solution[:, 0]
            left = (windows.energies[0] - head.composition(state) @ head.references) / roots
            level = max(float(left.square().mean().sqrt()), 1e-6)
        change = ((windows.energies[-1] - windows.energies[0]) / roots).square().mean().sqrt()
        force = None if windows.forces is None else float(windows.forces.square().mean().sqrt())
        return cls(level, max(float(change), 1e-6), force)


def potential_loss(model: Forecaster, windows: Windows, scales: PotentialScales) -> Tensor:
    """Mean squared errors of potential energies at both ends of the windows, of their change, and of the forces at the end.

    The level tells molecules apart; the change is what a rollout asks for, and its error is not hidden behind a constant that
    differs from molecule to molecule. Forces say what every atom contributes; where gradients are off they are left out.

    Args:
        model: With an energy head.
        windows: With energies.
        scales: Of one forecast.

    Returns:
        A dimensionless number; each of the terms is about one for a head that knows nothing.
    """
    assert windows.energies is not None
    start = windows.history[-1]
    forces = windows.forces if torch.is_grad_enabled() else None
    end = windows.positions[-1] if forces is None else windows.positions[-1].clone().requires_grad_()
    found = torch.stack([model.potential_energy(start), model.potential_energy(start.with_(positions=end))])
    roots = windows.history[-1].sizes.to(found).sqrt()
    error = (found - windows.energies[[0, -1]]) / roots
    total = (error / scales.level).square().mean() + ((error[1] - error[0]) / scales.change).square().mean()
    if forces is None or scales.force is None:
        return total
    (slope,) = torch.autograd.grad(found[1].sum(), end, create_graph=True)
    return total + ((slope + forces[-1]) / scales.force).square().mean()


def potential_errors(model: Forecaster, windows: Windows) -> dict[str, Tensor]:
    """Mean absolute errors of the potential energy.

    Returns:
        ``val_potential_mae`` in eV per atom, of the energy itself, and ``val_change_mae`` in eV per atom, of its change
        from the start to the end of a window.
    """
    assert windows.energies is not None
    start = windows.history[-1]
    with torch.no_grad():
        found = torch.stack([model.potential_energy(start), model.potential_energy(start.with_(positions=windows.positions[-1]))])
    error = found - windows.energies[[0, -1]]
    error = error / windows.history[-1].sizes
    return {"val_potential_mae": error.abs().mean(), "val_change_mae": (error[1] - error[0]).abs().mean()}
