"""What a trained model says of itself, and the requests that it refuses."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from ase.data import atomic_masses, chemical_symbols
from pydantic import Field
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.energy_config import EnergyConfig
from forcefree.settings import Settings
from forcefree.state import State

FORMAT_VERSION = 1
_TOLERANCE = 1e-6
_LATER = ("energy",)
"""Fields that the first cards did not have."""
_LATER_GUARDS = ("volume",)
"""Guards that the first cards did not have, and that no run depends on once it has begun."""
_WARMER = 1.1  # a run at the hottest training temperature fluctuates this far


class Card(Settings):
    """Everything that is needed to use a model rightly; stored as JSON beside its weights."""

    format_version: int = FORMAT_VERSION
    name: str
    """Such as ``trajcast-ethanol``."""

    model: str
    """Registered name of the architecture, such as ``trajcast``."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Configuration of the architecture."""

    energy: EnergyConfig | None = None
    """Configuration of the energy head, None where the model has none."""

    species: list[int]
    """Atomic numbers that training saw."""

    masses_rule: str = "ase-standard"
    """Masses that training used; isotopes are refused."""

    history_length: int = 1
    """Frames that a forecast starts from."""

    history_spacing: float | None = None
    """fs between those frames, where there is more than one."""

    t_max: float
    """Longest forecast in fs."""

    fixed_times: list[float] | None = None
    """The only times (fs) that can be asked for, or None where any time up to ``t_max`` can."""

    cutoff: float
    """Å."""

    closed: bool = True
    """All atoms are there. False for a model of some of them, such as the heavy atoms alone, whose momentum the others share."""

    ensemble: str = "nve"
    temperatures: list[float] = Field(default_factory=list)
    """K, of the training runs."""

    level_of_theory: str = "unknown"
    calculator: dict[str, Any] | None = None
    """Configuration of the reference calculator, from which energies can be computed again."""

    propagator: dict[str, Any] = Field(default_factory=dict)
    """Recommended propagator, chosen by measurement: its name, its step in fs, its corrections, and whether to keep the energy."""

    guards: dict[str, Any] = Field(default_factory=dict)
    """What training saw: closest approach of each pair of elements, longest bonds, highest temperature."""

    training: dict[str, Any] = Field(default_factory=dict)
    """Data hash, command, seed, duration, validation errors."""

    licence: str = "MIT"

    def lasting_json(self) -> str:
        """As JSON in which fields that were added later and are at their default are left out, so that it stays what it always was."""
        unused: dict[str, Any] = {name: True for name in _LATER if getattr(self, name) == type(self).model_fields[name].default}
        return self.model_dump_json(exclude=unused | {"guards": set(_LATER_GUARDS)})

    def check_system(self, state: State) -> None:
        """Refuse elements or isotopes that training never saw.

        Raises:
            ForcefreeError: Naming the first atom that does not fit.
        """
        known = torch.tensor(self.species, device=state.numbers.device)
        strange = ~torch.isin(state.numbers, known)
        if bool(strange.any()):
            number = int(state.numbers[strange][0])
            names = ", ".join(chemical_symbols[z] for z in self.species)
            raise ForcefreeError(
                f"model {self.name} knows the elements {names}, not {chemical_symbols[number]}; train or choose a model that has it"
            )
        standard = torch.as_tensor(atomic_masses, device=state.masses.device)[state.numbers]
        wrong = (state.masses - standard).abs() > 1e-3 * standard
        if bool(wrong.any()):
            index = int(wrong.nonzero()[0, 0])
            raise ForcefreeError(
                f"atom {index} has mass {float(state.masses[index]):g} amu, but model {self.name} was trained with the standard "
                f"mass {float(standard[index]):g} amu; isotopes need a model of their own"
            )

    def check_temperature(self, temperature: float | None) -> None:
        """Refuse a simulation hotter than anything that training saw; colder ones stay inside what it saw.

        Args:
            temperature: K, or None where none is asked for.

        Raises:
            ForcefreeError: Naming the hottest temperature of the training data.
        """
        hottest = max(self.temperatures, default=None)
        if temperature is not None and hottest is not None and temperature > _WARMER * hottest:
            raise ForcefreeError(
                f"model {self.name} was trained up to {hottest:g} K and cannot be trusted at {temperature:g} K; choose a lower temperature"
            )

    def check_times(self, times: Tensor) -> None:
        """Refuse times that the model does not have.

        Args:
            times: fs after the last frame of the history, any shape.

        Raises:
            ForcefreeError: Naming the first time that does not fit and what would.
        """
        if times.numel() == 0:
            raise ForcefreeError(f"model {self.name} was asked for no time at all; ask for at least one, up to {self.t_max:g} fs")
        longest, shortest = float(times.max()), float(times.min())
        if not (shortest >= -_TOLERANCE and longest <= self.t_max * (1.0 + _TOLERANCE)):
            wrong = longest if longest > self.t_max else shortest
            raise ForcefreeError(f"model {self.name} forecasts 0 to {self.t_max:g} fs ahead, not {wrong:g} fs")
        if self.fixed_times is not None:
            allowed = torch.tensor([0.0, *self.fixed_times], dtype=times.dtype, device=times.device)
            nearest = (times.reshape(-1, 1) - allowed).abs().amin(dim=1)
            if bool((nearest > 1e-3).any()):
                wrong = float(times.reshape(-1)[nearest.argmax()])
                raise ForcefreeError(
                    f"model {self.name} has no forecast at {wrong:g} fs; it forecasts at {', '.join(f'{t:g}' for t in self.fixed_times)} fs"
                )

    def check_history(self, history: tuple[State, ...]) -> None:
        """Refuse a history of another length or spacing than training had.

        Raises:
            ForcefreeError: Saying what was given and what is needed.
        """
        if len(history) != self.history_length:
            raise ForcefreeError(f"model {self.name} needs a history of {self.history_length} frame(s), not {len(history)}")
        if self.history_spacing is not None:
            for earlier, later in itertools.pairwise(history):
                gap = later.time - earlier.time
                if bool(((gap - self.history_spacing).abs() > 1e-3 * self.history_spacing).any()):
                    raise ForcefreeError(f"model {self.name} needs frames {self.history_spacing:g} fs apart, not {float(gap.max()):g} fs")
