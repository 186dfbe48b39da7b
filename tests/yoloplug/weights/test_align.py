"""Rows of a changed network find the trained rows: inserted, removed, swapped, repeated, reordered."""

import dataclasses
from collections.abc import Sequence

import pytest

from yoloplug.weights.align import Alignment, GraphRow, align


def row(index: int, kind: str, source: int | tuple[int, ...], level: float | None, c1: int, c2: int) -> GraphRow:
    sources = source if isinstance(source, tuple) else (source,)
    stock = kind.partition("_")[0] if "_" in kind else {"gnConv": "Conv", "SCConv": "Conv"}.get(kind, kind)
    params = 0 if kind in ("Concat", "Upsample") else c1 * c2
    return GraphRow(index, kind, stock, sources, level, c2 if level is not None else None, (c1,), params)


SMALL = [
    row(0, "Conv", -1, 1, 3, 16),
    row(1, "Conv", 0, 2, 16, 32),
    row(2, "C2f", 1, 2, 32, 32),
    row(3, "Conv", 2, 3, 32, 64),
    row(4, "C2f", 3, 3, 64, 64),
    row(5, "SPPF", 4, 3, 64, 64),
    row(6, "Upsample", 5, 2, 64, 64),
    row(7, "Concat", (6, 2), 2, 96, 96),
    row(8, "C2f", 7, 2, 96, 32),
    row(9, "Detect", (8, 5), None, 32, 32),
]


def inserted(rows: Sequence[GraphRow], after: int, kind: str, repeats: int = 1) -> list[GraphRow]:
    """The rows with `repeats` more ones behind row `after`, which all later rows read in its place."""
    made = list(rows[: after + 1])
    for k in range(repeats):
        width = rows[after].width or 1
        made.append(row(after + 1 + k, kind, after + k, rows[after].level, width, width))
    for r in rows[after + 1 :]:
        sources = tuple(s + repeats if s >= after else s for s in r.sources)
        made.append(dataclasses.replace(r, index=r.index + repeats, sources=sources))
    return made


def numbers(alignment: Alignment) -> list[tuple[int, int]]:
    return [(pair.source.index, pair.target.index) for pair in alignment.pairs]


@pytest.mark.parametrize("kind", ["gnConv", "C2f_gnConv", "C2f", "Conv", "SPPF"])
@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("after", range(9))
def test_an_inserted_row_shifts_nothing(after: int, repeats: int, kind: str) -> None:
    """Of equal neighbours the first keeps its weights: no graph tells which of them is new."""
    alignment = align(SMALL, inserted(SMALL, after, kind, repeats))
    first = after + 1 if (SMALL[after + 1].kind, SMALL[after + 1].width) == (kind, SMALL[after].width) else None
    assert numbers(alignment) == [(i, i if i <= after or i == first else i + repeats) for i in range(10)]
    assert len(alignment.inserted) == repeats
    assert not alignment.removed and not alignment.is_identity


@pytest.mark.parametrize("after", range(9))
def test_a_removed_row_shifts_nothing(after: int) -> None:
    alignment = align(inserted(SMALL, after, "SCConv"), SMALL)
    assert numbers(alignment) == [(i if i <= after else i + 1, i) for i in range(10)]
    assert [r.index for r in alignment.removed] == [after + 1]


def test_a_swapped_row_meets_the_row_whose_place_it_takes() -> None:
    swapped = [
        dataclasses.replace(r, kind={"C2f": "C2f_gnConv", "Conv": "gnConv"}.get(r.kind, r.kind), params=r.params * 2)
        for r in SMALL
    ]
    alignment = align(SMALL, swapped)
    assert numbers(alignment) == [(i, i) for i in range(10)] and not alignment.is_identity


def test_an_inserted_block_beside_swapped_ones_of_its_kind() -> None:
    swapped = [dataclasses.replace(r, kind="C2f_gnConv") if r.kind == "C2f" else r for r in SMALL]
    for after in (0, 3, 4):
        alignment = align(SMALL, inserted(swapped, after, "C2f_gnConv"))
        first = 4 if after == 3 else None
        assert numbers(alignment) == [(i, i if i <= after or i == first else i + 1) for i in range(10)]


def test_equal_rows_are_the_identity() -> None:
    alignment = align(SMALL, SMALL)
    assert alignment.is_identity and alignment.source_of(4) == SMALL[4]


def test_rows_in_another_order_with_the_same_inputs_are_the_same_rows() -> None:
    """Two branches of one input, written the other way round."""
    first = [
        *SMALL[:5],
        row(5, "C3", 4, 3, 64, 64),
        row(6, "C2f", 4, 3, 64, 32),
        row(7, "Detect", (5, 6), None, 64, 32),
    ]
    second = [
        *SMALL[:5],
        row(5, "C2f", 4, 3, 64, 32),
        row(6, "C3", 4, 3, 64, 64),
        row(7, "Detect", (6, 5), None, 64, 32),
    ]
    assert (5, 6) in numbers(align(first, second)) and (6, 5) in numbers(align(first, second))


def test_a_row_moved_along_the_graph_starts_fresh() -> None:
    moved = [
        *SMALL[:3],
        row(3, "SPPF", 2, 2, 32, 32),
        dataclasses.replace(SMALL[3], index=4, sources=(3,)),
        dataclasses.replace(SMALL[4], index=5, sources=(4,)),
        *SMALL[6:],
    ]
    moved[6] = dataclasses.replace(moved[6], sources=(5,))
    alignment = align(SMALL, moved)
    assert [r.index for r in alignment.inserted] == [3] and [r.index for r in alignment.removed] == [5]


def test_another_scale_aligns_row_by_row() -> None:
    wide = [
        dataclasses.replace(
            r, width=r.width and 2 * r.width, widths=tuple(2 * w for w in r.widths), params=4 * r.params
        )
        for r in SMALL
    ]
    assert numbers(align(SMALL, wide)) == [(i, i) for i in range(10)]
