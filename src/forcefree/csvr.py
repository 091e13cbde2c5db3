"""The canonical rescaling factor of the CSVR thermostat, for numpy generators and torch ones alike.

Source: Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007), equation A7, with the sign of Bussi and
Parrinello, Comput. Phys. Commun. 179, 26 (2008).
"""

from __future__ import annotations

import torch
from torch import Tensor


def rescaling_factor(kinetic_ratio: Tensor, freedom: Tensor, decay: float, normal: Tensor, chi_square: Tensor) -> Tensor:
    r"""Factor by which all velocities of a system are multiplied after a time step.

    :math:`\alpha^2 = c + (1-c) (R_1^2 + \chi^2_{N_f - 1}) / (N_f k) + 2 R_1 \sqrt{c (1-c) / (N_f k)}` with
    :math:`c = e^{-\Delta t/\tau}` and :math:`k` the kinetic energy over its canonical mean.

    Args:
        kinetic_ratio: Kinetic energy over its canonical mean, positive, shape (n_systems,).
        freedom: Velocity degrees of freedom :math:`N_f`, shape (n_systems,).
        decay: :math:`c`, between 0 and 1.
        normal: Standard normal draws :math:`R_1`, shape (n_systems,).
        chi_square: Draws of a chi-square distribution with :math:`N_f - 1` degrees of freedom, shape (n_systems,).

    Returns:
        The factor, which is negative where the thermostat reverses all velocities, shape (n_systems,).
    """
    spread = (1.0 - decay) / (freedom * kinetic_ratio)
    square = decay + spread * (normal.square() + chi_square) + 2.0 * normal * (decay * spread).sqrt()
    sign = torch.where(normal + (decay / spread).sqrt() < 0.0, -1.0, 1.0)
    return sign * square.clamp_min(0.0).sqrt()
