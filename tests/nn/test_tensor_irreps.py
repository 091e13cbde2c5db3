"""Names, parities and numbers of products, against e3nn's own bookkeeping."""

from __future__ import annotations

from e3nn import o3

from forcefree.nn.tensor_irreps import (
    ALL_TENSORS,
    SCALAR,
    TRUE_TENSORS,
    VECTOR,
    Irrep,
    needed_kinds,
    product_kinds,
    product_paths,
    row_ranges,
)


def test_names_are_those_of_the_field() -> None:
    assert [kind.name for kind in ALL_TENSORS] == ["0e", "0o", "1o", "1e", "2e", "2o"]
    assert [kind.size for kind in ALL_TENSORS] == [1, 1, 3, 3, 5, 5]
    assert (SCALAR.name, VECTOR.name) == ("0e", "1o")


def test_parities_follow_the_selection_rules_of_e3nn() -> None:
    harmonic = {order: o3.Irrep(order, (-1) ** order) for order in range(3)}
    expected = {
        (source.name, order, str(result))
        for source in ALL_TENSORS
        for order in range(3)
        for result in o3.Irrep(source.name) * harmonic[order]
    }
    found = {(path.source.name, path.harmonic, path.result.name) for path in product_paths(ALL_TENSORS, ALL_TENSORS)}
    assert found == {triple for triple in expected if int(triple[2][0]) <= 2}


def test_as_many_paths_as_published() -> None:
    assert len(product_paths(TRUE_TENSORS, ALL_TENSORS)) == 15
    assert len(product_paths(ALL_TENSORS, ALL_TENSORS)) == 30
    heard = product_kinds(TRUE_TENSORS)
    assert [kind.name for kind in heard] == ["0e", "1o", "1e", "2e", "2o"]
    assert len(product_paths(heard, ALL_TENSORS)) == 27


def test_a_vector_and_its_gate_need_everything_but_pseudoscalars() -> None:
    assert needed_kinds((SCALAR, VECTOR)) == tuple(kind for kind in ALL_TENSORS if kind.name != "0o")
    assert needed_kinds((Irrep(0, True),)) == tuple(Irrep(order, True) for order in range(3))
    assert product_kinds((SCALAR,), (VECTOR,)) == (VECTOR,)


def test_rows_are_contiguous_and_in_order() -> None:
    ranges = row_ranges(ALL_TENSORS)
    assert [row for kind in ALL_TENSORS for row in ranges[kind]] == list(range(18))
    assert list(row_ranges((VECTOR, Irrep(2, False)))[Irrep(2, False)]) == [3, 4, 5, 6, 7]
