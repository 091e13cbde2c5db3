"""Frozen blocks do not move, slow ones move in proportion, and a block that is not there is an error."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from forcefree.errors import ForcefreeError
from forcefree.training.blocks import freeze_blocks, parameter_groups


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.ModuleDict(
        {"first": nn.Linear(3, 3), "first_again": nn.Linear(3, 3), "last": nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 1)])}
    )


def _step(model: nn.Module, factors: dict[str, float]) -> dict[str, float]:
    """How far plain gradient descent moves each parameter, relative to its gradient."""
    optimizer = torch.optim.SGD(parameter_groups(model, 0.1, factors), lr=1.0)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    return {name: float((before[name] - parameter).abs().max().detach()) for name, parameter in model.named_parameters()}


def test_frozen_blocks_stay_and_names_are_taken_whole(model: nn.Module) -> None:
    freeze_blocks(model, ["first", "last.1.bias"])
    moved = _step(model, {})
    assert {name for name, distance in moved.items() if distance == 0.0} == {"first.weight", "first.bias", "last.1.bias"}
    assert moved["first_again.weight"] == pytest.approx(0.1)


def test_the_longest_prefix_sets_the_rate(model: nn.Module) -> None:
    moved = _step(model, {"last": 0.5, "last.1": 0.01, "first": 2.0})
    assert moved["last.0.weight"] == pytest.approx(0.05)
    assert moved["last.1.bias"] == pytest.approx(0.001, rel=1e-3)
    assert moved["first.bias"] == pytest.approx(0.2)
    assert moved["first_again.bias"] == pytest.approx(0.1)


def test_without_options_there_is_one_group_with_everything(model: nn.Module) -> None:
    (group,) = parameter_groups(model, 0.3, {})
    assert group["lr"] == 0.3
    assert len(group["params"]) == len(list(model.parameters()))


def test_blocks_that_do_not_exist_and_a_model_that_cannot_move_are_refused(model: nn.Module) -> None:
    with pytest.raises(ForcefreeError, match=r"freeze names 'firs', but the model has no such block; it has first.bias, first.weight"):
        freeze_blocks(model, ["firs"])
    with pytest.raises(ForcefreeError, match="rate_factors names 'middle'"):
        parameter_groups(model, 0.1, {"middle": 2.0})
    with pytest.raises(ForcefreeError, match="leaves no parameter to train"):
        freeze_blocks(model, ["first", "first_again", "last"])
