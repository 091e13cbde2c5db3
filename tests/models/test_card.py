"""What a model refuses, and the sentence that says why."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from ase import Atoms
from ase.build import molecule

from forcefree.errors import ForcefreeError
from forcefree.models.card import FORMAT_VERSION, Card
from forcefree.state import State


def _card(**changes: Any) -> Card:
    return Card.model_validate({"name": "m", "model": "trajcast", "species": [1, 8], "t_max": 10.0, "cutoff": 5.0, **changes})


def _water(**changes: Any) -> State:
    return State.from_atoms([molecule("H2O")]).with_(**changes)


def test_a_card_survives_json() -> None:
    card = _card(fixed_times=[5.0, 10.0], options={"channels": 64}, guards={"longest_bond": {"1-8": 1.4}}, temperatures=[300.0])
    assert Card.model_validate_json(card.model_dump_json()) == card
    assert card.format_version == FORMAT_VERSION


def test_unknown_fields_and_missing_ones_are_refused() -> None:
    with pytest.raises(ForcefreeError, match="x: cutof: is not an option here"):
        Card.parse({**_card().model_dump(), "cutof": 3.0}, "x")
    with pytest.raises(ForcefreeError, match="x: name: is needed but missing"):
        Card.parse({key: value for key, value in _card().model_dump().items() if key != "name"}, "x")


def test_known_elements_and_standard_masses_pass() -> None:
    _card().check_system(State.from_atoms([molecule("H2O"), molecule("OH"), Atoms("H")]))


def test_an_element_that_training_never_saw_is_named() -> None:
    with pytest.raises(ForcefreeError, match="model m knows the elements H, O, not C; train or choose a model that has it"):
        _card().check_system(State.from_atoms([molecule("H2O"), molecule("CO")]))


def test_an_isotope_is_named_with_its_mass() -> None:
    masses = _water().masses.clone()
    masses[2] = 2.014
    with pytest.raises(ForcefreeError, match=r"atom 2 has mass 2.014 amu, .* standard mass 1.008 amu; isotopes need a model of their own"):
        _card().check_system(_water(masses=masses))


def test_a_guard_that_was_added_later_makes_no_other_model_of_it() -> None:
    card = _card(guards={"closest": {"1-1": 1.0}})
    later = card.model_copy(update={"guards": card.guards | {"volume": [9.0, 10.0]}})
    assert later.lasting_json() == card.lasting_json()
    assert card.model_copy(update={"guards": {"closest": {"1-1": 1.1}}}).lasting_json() != card.lasting_json()


@pytest.mark.parametrize("times", [[0.0], [10.0], [3.3, 7.7], [10.0 + 1e-9]])
def test_any_time_up_to_the_longest_can_be_asked_for(times: list[float]) -> None:
    _card().check_times(torch.tensor(times, dtype=torch.float64))


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        ([5.0, 10.1], "model m forecasts 0 to 10 fs ahead, not 10.1 fs"),
        ([-1.0, 5.0], "model m forecasts 0 to 10 fs ahead, not -1 fs"),
        ([math.nan], "model m forecasts 0 to 10 fs ahead, not nan fs"),
        ([math.inf], "model m forecasts 0 to 10 fs ahead, not inf fs"),
        ([], "model m was asked for no time at all"),
    ],
)
def test_other_times_are_refused_with_the_value(times: list[float], sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        _card().check_times(torch.tensor(times, dtype=torch.float64))


def test_a_model_of_fixed_strides_has_no_others() -> None:
    card = _card(fixed_times=[5.0, 10.0])
    card.check_times(torch.tensor([[0.0, 5.0], [10.0, 5.0]]))
    with pytest.raises(ForcefreeError, match=r"model m has no forecast at 7.5 fs; it forecasts at 5, 10 fs"):
        card.check_times(torch.tensor([5.0, 7.5]))


def test_a_history_has_the_length_and_the_spacing_of_training() -> None:
    card = _card(history_length=3, history_spacing=2.0)
    history = tuple(_water(time=torch.tensor([time], dtype=torch.float64)) for time in (0.0, 2.0, 4.0))
    card.check_history(history)
    with pytest.raises(ForcefreeError, match=r"model m needs a history of 3 frame\(s\), not 2"):
        card.check_history(history[:2])
    late = (*history[:2], _water(time=torch.tensor([5.0], dtype=torch.float64)))
    with pytest.raises(ForcefreeError, match="model m needs frames 2 fs apart, not 3 fs"):
        card.check_history(late)
