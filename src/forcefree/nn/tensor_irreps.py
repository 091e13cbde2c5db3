"""Kinds of Cartesian tensors that an atom carries, and the products that lead from one kind to another."""

from __future__ import annotations

from dataclasses import dataclass

from forcefree.nn.tensor_coupling import ORDERS


@dataclass(frozen=True, order=True)
class Irrep:
    """One irreducible kind of tensor.

    Attributes:
        order: l: 0 a scalar, 1 a vector, 2 a symmetric traceless matrix.
        pseudo: Whether a reflection gives it an extra sign (0o, 1e, 2o), as it does a cross product.
    """

    order: int
    pseudo: bool

    @property
    def size(self) -> int:
        """Independent components."""
        return 2 * self.order + 1

    @property
    def name(self) -> str:
        """The usual name: l, then e or o for the sign under inversion."""
        return f"{self.order}{'o' if (self.order % 2 == 1) != self.pseudo else 'e'}"


TRUE_TENSORS = (Irrep(0, False), Irrep(1, False), Irrep(2, False))
"""Kinds that products of positions and velocities without a cross product give."""

ALL_TENSORS = tuple(Irrep(order, pseudo) for order in range(3) for pseudo in (False, True))
"""Both parities of every order; an atom's components lie in this order."""

VECTOR = Irrep(1, False)
"""Kind of a displacement."""

SCALAR = Irrep(0, False)
"""Kind of an energy."""


@dataclass(frozen=True)
class Path:
    """One product of a feature with a harmonic.

    Attributes:
        source: Kind of the feature.
        harmonic: l of the harmonic of a direction or a velocity, always a true tensor.
        result: Kind of the product.
    """

    source: Irrep
    harmonic: int
    result: Irrep


def product_paths(sources: tuple[Irrep, ...], results: tuple[Irrep, ...]) -> tuple[Path, ...]:
    """Every product of ``sources`` with harmonics up to l = 2 whose kind is among ``results``, ordered by source."""
    paths = []
    for source in sources:
        for first, second, third in ORDERS:
            result = Irrep(third, source.pseudo != ((first + second + third) % 2 == 1))
            if first == source.order and result in results:
                paths.append(Path(source, second, result))
    return tuple(paths)


def product_kinds(sources: tuple[Irrep, ...], results: tuple[Irrep, ...] = ALL_TENSORS) -> tuple[Irrep, ...]:
    """Kinds among ``results`` that the products of ``sources`` with harmonics reach, in the order of :data:`ALL_TENSORS`."""
    return tuple(sorted({path.result for path in product_paths(sources, results)}))


def needed_kinds(results: tuple[Irrep, ...]) -> tuple[Irrep, ...]:
    """Kinds whose product with some harmonic is among ``results``."""
    return tuple(sorted({path.source for path in product_paths(ALL_TENSORS, results)}))


def row_ranges(kinds: tuple[Irrep, ...]) -> dict[Irrep, range]:
    """Where the components of each kind lie among the rows of an atom's features."""
    ranges, start = {}, 0
    for kind in kinds:
        ranges[kind] = range(start, start + kind.size)
        start += kind.size
    return ranges
