"""The loss: errors of departures from free flight, each in units of what there is to predict."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from forcefree.models.forecaster import Departures, Forecaster
from forcefree.nn.delay import brought_along
from forcefree.state import State
from forcefree.training.windows import Windows, WindowSource
from forcefree.units import KINETIC_UNIT


@dataclass(frozen=True)
class Scales:
    """Root mean square mass-weighted departures, by which errors are divided.

    Attributes:
        positions: Å, at each time of a window, shape (n_times,).
        velocities: Å/fs, shape (n_times,).
        mean_mass: amu, the mass whose weight is one.
        energy: eV, root mean square change of a system's kinetic energy over a window.
    """

    positions: Tensor
    velocities: Tensor
    mean_mass: float
    energy: float = 1.0

    @classmethod
    def measure(cls, source: WindowSource, samples: int = 2048) -> Scales:
        """Take the scales from about ``samples`` windows, drawn apart from those of training."""
        windows = source.draw(samples, 1 << 50)
        masses = windows.history[-1].masses
        weights = (masses / masses.mean())[:, None]
        positions, velocities = windows.departures()
        return cls(
            positions=(weights * positions.square()).mean(dim=(1, 2)).sqrt(),
            velocities=(weights * velocities.square()).mean(dim=(1, 2)).sqrt(),
            mean_mass=float(masses.mean()),
            energy=float(_kinetic_change(windows).square().mean().sqrt()),
        )


def unrolled_loss(
    model: Forecaster,
    windows: Windows,
    scales: Scales,
    unroll: int = 1,
    energy_weight: float = 0.0,
    reversal_weight: float = 0.0,
    *,
    own_past: bool = False,
) -> Tensor:
    """Mean squared mass-weighted error of positions and velocities over all times of ``unroll`` forecasts in a row.

    Mass weighting counts an error by the energy it makes; dividing by the root mean square departure at each time gives
    early and late times the same say.

    Args:
        model: What is trained; its gradients flow through every forecast.
        windows: ``unroll`` times as long as one forecast.
        scales: Of one forecast.
        unroll: Forecasts one after another.
        energy_weight: Weight of the squared error of the total energy, to first order in the errors; needs forces.
        reversal_weight: Weight of the squared error of going back to where the forecast started; for models of one frame.
        own_past: Start every forecast after the first in the true frame, with the model's own forecast, through which no gradient
            flows, as the past that leads there; for models of several frames.

    Returns:
        A dimensionless number; one means no better than free flight.
    """
    state = windows.history[-1]
    history = windows.history
    per_segment = len(windows.times) // unroll
    total = torch.zeros((), device=state.positions.device)
    for segment in range(unroll):
        rows = slice(segment * per_segment, (segment + 1) * per_segment)
        times = windows.times[:per_segment]
        predicted = model.conserving_departures(history, times)
        elapsed = times[:, state.system, None]
        position_error = (windows.positions[rows] - state.positions - state.velocities * elapsed).to(
            predicted.positions
        ) - predicted.positions
        velocity_error = (windows.velocities[rows] - state.velocities).to(predicted.velocities) - predicted.velocities
        total = total + _mean_square(state, position_error, velocity_error, scales)
        if reversal_weight:
            total = total + reversal_weight * reversal_loss(model, state, predicted, times, scales)
        if predicted.penalty is not None:
            total = total + predicted.penalty
        if energy_weight and windows.forces is not None:
            energy = energy_error(state, windows.velocities[rows], windows.forces[rows], position_error, velocity_error)
            total = total + energy_weight * (energy / scales.energy).square().mean()
        if segment + 1 < unroll:
            history = _advanced(history, predicted, times)
            if own_past:
                history = _led_to(history, windows.positions[rows][-1], windows.velocities[rows][-1])
            state = history[-1]
    return total / unroll


def reversal_loss(model: Forecaster, state: State, predicted: Departures, times: Tensor, scales: Scales) -> Tensor:
    """How far a forecast is from being undone by a second one with all velocities turned round.

    Exact dynamics retraces its whole path, so the second forecast should pass through the frames of the first in reverse
    order. A map that shrinks what it cannot predict does not: what it loses forth it loses back as well. No true
    trajectory enters, only the symmetry of mechanics. All times count in the unit of the last, because the way back starts
    with the errors of the whole way forth.

    Args:
        model: A forecaster of one frame.
        state: Where the forecast started.
        predicted: Its departures from free flight.
        times: fs, equally spaced from the first on, shape (n_times, n_systems).
        scales: Of one forecast.

    Returns:
        A dimensionless number, in the units of :func:`unrolled_loss`.
    """
    elapsed = times[:, state.system, None]
    (end,) = _advanced((state,), predicted, times)
    turned = end.with_(velocities=-end.velocities)
    back = model.conserving_departures((turned,), times)
    path = state.positions + state.velocities * elapsed + predicted.positions.to(state.positions)
    speeds = state.velocities + predicted.velocities.to(state.velocities)
    path = torch.cat([path[:-1].flip(0), state.positions[None]])
    speeds = torch.cat([speeds[:-1].flip(0), state.velocities[None]])
    position_error = (path - turned.positions - turned.velocities * elapsed).to(back.positions) - back.positions
    velocity_error = (-speeds - turned.velocities).to(back.velocities) - back.velocities
    at_the_end = replace(scales, positions=scales.positions[-1:].expand(len(times)), velocities=scales.velocities[-1:].expand(len(times)))
    return _mean_square(state, position_error, velocity_error, at_the_end)


def _mean_square(state: State, position_error: Tensor, velocity_error: Tensor, scales: Scales) -> Tensor:
    """Mass-weighted mean square of errors of shape (n_times, n_atoms, 3), each time in its own unit."""
    weights = (state.masses / scales.mean_mass)[:, None].to(position_error)
    total = torch.zeros((), device=position_error.device)
    for error, scale in ((position_error, scales.positions), (velocity_error, scales.velocities)):
        total = total + 0.5 * (weights * (error / scale.to(error)[:, None, None]).square()).mean()
    return total


def energy_error(state: State, velocities: Tensor, forces: Tensor, position_error: Tensor, velocity_error: Tensor) -> Tensor:
    r"""Error of the total energy to first order, :math:`\sum_i m_i v_i \cdot \delta v_i - F_i \cdot \delta x_i`.

    True velocities and forces at the target times say what an error costs, so that no potential is evaluated. A map whose
    errors are small but always point the same way along the trajectory loses energy at every step; this sees it.

    Args:
        state: Masses and systems.
        velocities: True ones in Å/fs, shape (n_times, n_atoms, 3).
        forces: True ones in eV/Å, shape (n_times, n_atoms, 3).
        position_error: Å, shape (n_times, n_atoms, 3).
        velocity_error: Å/fs, shape (n_times, n_atoms, 3).

    Returns:
        eV, shape (n_times, n_systems).
    """
    momenta = (KINETIC_UNIT * state.masses[:, None] * velocities).to(velocity_error)
    cost = (momenta * velocity_error - forces.to(position_error) * position_error).sum(dim=-1)
    total = torch.zeros(len(cost), state.n_systems, dtype=cost.dtype, device=cost.device)
    return total.index_add(1, state.system, cost)


def _kinetic_change(windows: Windows) -> Tensor:
    """Change of every system's kinetic energy from the start to the end of its window, eV, shape (n_systems,)."""
    state = windows.history[-1]
    difference = windows.velocities[-1].square().sum(dim=-1) - state.velocities.square().sum(dim=-1)
    return 0.5 * KINETIC_UNIT * state.sum(state.masses * difference)


def _advanced(history: tuple[State, ...], predicted: Departures, times: Tensor) -> tuple[State, ...]:
    """The history, as long as before, that ends with the last forecast frame."""
    state, length = history[-1], len(history)
    frames = []
    for positions, velocities, elapsed in zip(predicted.positions[-length:], predicted.velocities[-length:], times[-length:], strict=True):
        flown = state.positions + state.velocities * elapsed[state.system, None]
        moved, faster = flown + positions.to(flown), state.velocities + velocities.to(flown)
        frames.append(state.with_(positions=moved, velocities=faster, time=state.time + elapsed))
    return (*history, *frames)[-length:]


def _led_to(history: tuple[State, ...], positions: Tensor, velocities: Tensor) -> tuple[State, ...]:
    """The history, without gradient, moved along so that it ends in another frame with the same forces behind it."""
    last = history[-1]
    shift, kick = positions - last.positions.detach(), velocities - last.velocities.detach()
    frames = [state.with_(positions=state.positions.detach(), velocities=state.velocities.detach()) for state in history[:-1]]
    earlier = (brought_along(state, last.time, shift, kick) for state in frames)
    return (*earlier, last.with_(positions=positions, velocities=velocities))
