"""ASE calculators by name or import path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ase.calculators.calculator import Calculator

from forcefree.errors import ForcefreeError
from forcefree.reference.config import CalculatorConfig


def _xtb(method: str) -> Callable[..., Calculator]:
    def build(**options: Any) -> Calculator:
        from tblite.ase import TBLite

        calculator: Calculator = TBLite(method=method, **{"verbosity": 0, **options})
        return calculator

    return build


def _lennard_jones(**options: Any) -> Calculator:
    from ase.calculators.lj import LennardJones

    return LennardJones(**{"smooth": True, **options})


def _emt(**options: Any) -> Calculator:
    from ase.calculators.emt import EMT

    return EMT(**options)


def _sgdml(model: str, **options: Any) -> Calculator:
    from forcefree.reference.sgdml import SymmetricGradientDomain

    return SymmetricGradientDomain(model, **options)


def _lammps(**options: Any) -> Calculator:
    from forcefree.reference.engines.lammps_options import LammpsOptions
    from forcefree.reference.engines.lammps_session import LammpsSession
    from forcefree.reference.engines.native_calculator import NativeCalculator

    settings = LammpsOptions.parse(options, "calculator lammps")
    return NativeCalculator(lambda atoms: LammpsSession(settings, atoms))


def _openmm(**options: Any) -> Calculator:
    from forcefree.reference.engines.native_calculator import NativeCalculator
    from forcefree.reference.engines.openmm_options import OpenmmOptions
    from forcefree.reference.engines.openmm_session import OpenmmSession

    settings = OpenmmOptions.parse(options, "calculator openmm")
    return NativeCalculator(lambda atoms: OpenmmSession(settings, atoms))


BUILT_IN: dict[str, Callable[..., Calculator]] = {
    "gfn2-xtb": _xtb("GFN2-xTB"),
    "gfn1-xtb": _xtb("GFN1-xTB"),
    "lennard-jones": _lennard_jones,
    "emt": _emt,
    "sgdml": _sgdml,
    "lammps": _lammps,
    "openmm": _openmm,
}
"""Factories of the calculators that have a name of their own."""


def build_calculator(config: CalculatorConfig) -> Calculator:
    """Make a fresh calculator.

    Args:
        config: Name or import path (``package.module:Class``, also of a module in the current folder) and keyword arguments.

    Raises:
        ForcefreeError: If the name is unknown, the package is not installed, or the arguments are refused.
    """
    factory = BUILT_IN.get(config.name.lower())
    if factory is None:
        factory = _imported(config.name)
    try:
        calculator = factory(**config.options)
    except ImportError as error:
        raise ForcefreeError(f"calculator '{config.name}' needs the package '{error.name}', which is not installed") from error
    except ForcefreeError:
        raise
    except Exception as error:  # calculators of other people raise whatever they like
        reason = " ".join(str(error).split())
        raise ForcefreeError(f"calculator '{config.name}' refused its options {config.options}: {reason}") from error
    if not (hasattr(calculator, "calculate") or hasattr(calculator, "get_forces")):
        raise ForcefreeError(f"calculator '{config.name}' made a {type(calculator).__name__}, which is not an ASE calculator")
    return calculator


def _imported(path: str) -> Callable[..., Calculator]:
    module_name, separator, attribute = path.partition(":")
    if not separator:
        raise ForcefreeError(
            f"calculator '{path}' is unknown; built in are {', '.join(BUILT_IN)}, any other is given as package.module:Class"
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        factory: Callable[..., Calculator] = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ForcefreeError(f"calculator '{path}' cannot be imported: {error}") from error
    return factory
