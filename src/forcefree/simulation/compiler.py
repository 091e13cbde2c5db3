"""What ``torch.compile`` is told, and a code object for everything that is compiled."""

from __future__ import annotations

import itertools
from types import FunctionType, MethodType
from typing import Any

import torch

_NUMBERS = itertools.count()


def compiler_options(device: torch.device, threads: int = 1) -> dict[str, Any]:
    """Options for code whose inputs keep their shapes for good.

    Args:
        device: Where it runs.
        threads: Of a processor.
    """
    options: dict[str, Any] = {"cpp_wrapper": True, "cpp.threads": threads} if device.type == "cpu" else {}
    if hasattr(torch.compiler, "skip_all_guards_unsafe"):
        options["guard_filter_fn"] = torch.compiler.skip_all_guards_unsafe
    return options


def own_copy(method: Any) -> Any:
    """The same method from a code object of its own.

    Compiled code is kept with the code object that it came from. Nothing that a forecast depends on changes during a run, so the
    checks that tell two users of the same code apart are left out, where torch can; they would cost as much as a third of a
    small forecast. A code object for each forecaster keeps them apart for good.
    """
    code = method.__func__.__code__.replace(co_name=f"advance_{next(_NUMBERS)}")
    function = method.__func__
    return MethodType(FunctionType(code, function.__globals__, argdefs=function.__defaults__), method.__self__)
