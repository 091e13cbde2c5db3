"""Blocks of a network that stay as they are, and blocks that learn at a rate of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from forcefree.errors import ForcefreeError


def freeze_blocks(model: nn.Module, prefixes: Sequence[str]) -> None:
    """Take gradients from all parameters whose names begin with one of the prefixes.

    Args:
        model: What is trained.
        prefixes: Whole parts of names, such as ``network.messages`` or ``network.messages.0``.

    Raises:
        ForcefreeError: If a prefix fits no parameter, or nothing is left to train.
    """
    _check(model, prefixes, "freeze")
    for name, parameter in model.named_parameters():
        if any(_begins(name, prefix) for prefix in prefixes):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ForcefreeError(f"freeze ({', '.join(prefixes)}) leaves no parameter to train; freeze less")


def parameter_groups(model: nn.Module, learning_rate: float, factors: Mapping[str, float]) -> list[dict[str, Any]]:
    """Parameters that are not frozen, in one group per learning rate.

    Args:
        model: What is trained.
        learning_rate: Of parameters without a factor.
        factors: Factor of the learning rate for names that begin with a prefix; of several the longest counts.

    Returns:
        Groups as optimizers take them, those at the plain rate first.

    Raises:
        ForcefreeError: If a prefix fits no parameter.
    """
    _check(model, list(factors), "rate_factors")
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            fitting = [prefix for prefix in factors if _begins(name, prefix)]
            factor = factors[max(fitting, key=len)] if fitting else 1.0
            groups.setdefault(factor, []).append(parameter)
    return [{"params": parameters, "lr": factor * learning_rate} for factor, parameters in groups.items() if parameters]


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def _check(model: nn.Module, prefixes: Sequence[str], option: str) -> None:
    names = [name for name, _ in model.named_parameters()]
    for prefix in prefixes:
        if not any(_begins(name, prefix) for name in names):
            parts = sorted({".".join(name.split(".")[:2]) for name in names})
            raise ForcefreeError(f"{option} names '{prefix}', but the model has no such block; it has {', '.join(parts)}")
