"""Which row of a changed network is which row of the trained one.

Mathematics: rows of both networks are sequences in the order of their YAMLs. An alignment is a set of pairs (i, j) that
cross nowhere; its score is the sum of its pairs' points, unpaired rows give none. The best one is found by dynamic
programming (Needleman and Wunsch 1970, doi:10.1016/0022-2836(70)90057-4) in O(n m):

    best(i, j) = max(best(i - 1, j), best(i, j - 1), best(i - 1, j - 1) + points(i, j)).

Points of a pair, whole numbers so that ties are exact: KIND (the same class; the same stock class, as `C2f` and
`C2f_gnConv`; the same group, as `C2f` and `C3k2`; otherwise a fine), the level (log2 of the stride), the step (by how
much the row changes the level), widths in and out, the number of parameters, and the share of inputs that are pairs
themselves. The last depends on the alignment, so that the program is run again with the pairs found, until nothing
changes; of all rounds the one with the highest score counts. An inserted or removed row with one input is looked
through: what reads it is compared with what it reads.

A row that stands at another place of the list with the same inputs is found after that, by its inputs.

Limits: of equal neighbours with equal inputs the first keeps the weights, nothing in the graph could tell. A row that
was moved along the graph is another layer: it starts fresh. Widths are evidence, not a condition, so that other scales
of a model align; where all of kind, level and widths differ, only the order is left.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import NamedTuple

SAME_KIND, SAME_STOCK, SAME_GROUP, OTHER_KIND = 32, 28, 12, -16
LEVEL, STEP, WIDTH_OUT, WIDTHS_IN, PARAMETERS, INPUTS = 12, 8, 8, 8, 4, 16
PLAIN = 2
"""Points of rows without parameters are divided by it."""

GROUPS = (
    "Conv DWConv Conv2 LightConv GhostConv RepConv Focus SCDown ADown AConv ConvTranspose HGStem".split(),
    "C1 C2 C2f C3 C3k C3k2 C3x C3TR C3Ghost RepC3 C2fCIB C2fAttn BottleneckCSP ELAN1 RepNCSPELAN4 A2C2f".split(),
    "HGBlock ResNetLayer GhostBottleneck Bottleneck".split(),
    "C2PSA C2fPSA PSA AIFI".split(),
    "SPP SPPF SPPELAN".split(),
    "Upsample ConvTranspose2d".split(),
)
"""Stock classes that stand at the same places of different models."""

INSERTED = "inserted"
"""Stock class of a row that says it stands in no stock row's place."""

ROUNDS = 8


@dataclass(frozen=True)
class GraphRow:
    """One row of a network.

    kind: the class that the YAML names. stock: the stock class at whose place it stands, the same for stock rows.
    sources: rows it reads, -1 is the image. level: log2 of the output's stride, None without a map. width: channels
    out, widths: channels of each input. params: number of parameters.
    """

    index: int
    kind: str
    stock: str
    sources: tuple[int, ...]
    level: float | None
    width: int | None
    widths: tuple[int, ...]
    params: int


class RowPair(NamedTuple):
    """Two rows that are the same layer, before and after the change."""

    source: GraphRow
    target: GraphRow


@dataclass(frozen=True)
class Alignment:
    """pairs: rows of source and target that are one another, in the order of the target."""

    source: Sequence[GraphRow]
    target: Sequence[GraphRow]
    pairs: list[RowPair]

    @property
    def inserted(self) -> list[GraphRow]:
        """Rows of the target without partner."""
        paired = {pair.target.index for pair in self.pairs}
        return [row for row in self.target if row.index not in paired]

    @property
    def removed(self) -> list[GraphRow]:
        """Rows of the source without partner."""
        paired = {pair.source.index for pair in self.pairs}
        return [row for row in self.source if row.index not in paired]

    def source_of(self, target: int) -> GraphRow | None:
        """The trained row of row `target`; None where it is inserted."""
        return next((pair.source for pair in self.pairs if pair.target.index == target), None)

    def inputs_met(self, pair: RowPair) -> dict[int, int]:
        """Inputs of a pair that are one another: position in the target row -> in the source row.

        By pairs of rows, and what is left over by its level: P3 of a model with P2 is P3 of one without.
        """
        sources, targets = self._inputs(pair.source, self.source, 0), self._inputs(pair.target, self.target, 1)
        met: dict[int, int] = {}
        for alike in (
            lambda a, b: any((p.source.index, p.target.index) == (a, b) for p in self.pairs),
            lambda a, b: -1 not in (a, b) and self.source[a].level == self.target[b].level,
        ):
            for k, b in enumerate(targets):
                free = (i for i, a in enumerate(sources) if i not in met.values() and alike(a, b))
                if k not in met and (i := next(free, None)) is not None:
                    met[k] = i
        return met

    def _inputs(self, row: GraphRow, rows: Sequence[GraphRow], side: int) -> list[int]:
        paired = {pair[side].index for pair in self.pairs}
        return [_through(s, rows, paired) for s in row.sources]

    @property
    def is_identity(self) -> bool:
        """Whether every row kept its number and its class."""
        same = all(p.source.index == p.target.index and p.source.kind == p.target.kind for p in self.pairs)
        return same and not self.inserted and not self.removed


def align(source: Sequence[GraphRow], target: Sequence[GraphRow]) -> Alignment:
    """Pairs of rows of a trained and of a changed network."""
    pairs: dict[int, int] = {}
    best, highest = pairs, -1
    for _ in range(ROUNDS):
        points = _Points(source, target, pairs)
        found = _best_path(points)
        score = sum(_Points(source, target, found)(i, j) for j, i in found.items())
        if score > highest:
            best, highest = found, score
        if found == pairs:
            break
        pairs = found
    best = _with_reordered(source, target, best)
    return Alignment(source, target, [RowPair(source[best[j]], row) for j, row in enumerate(target) if j in best])


class _Points:
    """points(i, j) of source row i and target row j, given pairs (target row -> source row) found before."""

    def __init__(self, source: Sequence[GraphRow], target: Sequence[GraphRow], pairs: dict[int, int]) -> None:
        self.source, self.target, self.pairs = source, target, pairs
        self.used = set(pairs.values())
        self.levels = [_steps(source), _steps(target)]

    def __call__(self, i: int, j: int) -> int:
        a, b = self.source[i], self.target[j]
        is_head = (i == len(self.source) - 1, j == len(self.target) - 1)
        if is_head[0] != is_head[1]:
            return OTHER_KIND * PLAIN
        points = _kind(a, b) if not all(is_head) else SAME_KIND
        points += LEVEL * (a.level == b.level)
        points += STEP * (self.levels[0][i] == self.levels[1][j])
        points += WIDTH_OUT * (a.width == b.width) + WIDTHS_IN * (a.widths == b.widths)
        points += PARAMETERS * (a.params == b.params)
        points += int(INPUTS * self.share_of_inputs(i, j))
        return points if a.params or b.params else points // PLAIN

    def share_of_inputs(self, i: int, j: int) -> float:
        """Part of both rows' inputs that are pairs; what inserted and removed rows read stands for them."""
        ours = [_through(s, self.source, self.used) for s in self.source[i].sources]
        theirs = [_through(s, self.target, self.pairs) for s in self.target[j].sources]
        partners = [-1 if s == -1 else self.pairs.get(s) for s in theirs]
        met = sum(s in partners for s in ours)
        return met / max(len(ours), len(theirs), 1)


def _through(row: int, rows: Sequence[GraphRow], paired: Container[int]) -> int:
    """The row itself, or what it reads where it has no partner and one input."""
    while row >= 0 and row not in paired and len(rows[row].sources) == 1:
        row = rows[row].sources[0]
    return row


def _kind(a: GraphRow, b: GraphRow) -> int:
    if (a.kind, a.stock) == (b.kind, b.stock):
        return SAME_KIND
    if a.stock == b.stock:
        return SAME_STOCK
    return SAME_GROUP if any(a.stock in group and b.stock in group for group in GROUPS) else OTHER_KIND


def _steps(rows: Sequence[GraphRow]) -> list[float | None]:
    """By how much each row changes the level of its first input."""
    steps: list[float | None] = []
    for row in rows:
        before = 0.0 if row.sources[0] == -1 else rows[row.sources[0]].level
        steps.append(None if row.level is None or before is None else row.level - before)
    return steps


def _best_path(points: _Points) -> dict[int, int]:
    """Target row -> source row of the alignment with the most points; of equal ones that which pairs early rows."""
    n, m = len(points.source), len(points.target)
    best = [[0] * (m + 1) for _ in range(n + 1)]
    pair = [[points(i, j) for j in range(m)] for i in range(n)]
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            best[i][j] = max(best[i - 1][j], best[i][j - 1], best[i - 1][j - 1] + pair[i - 1][j - 1])
    found: dict[int, int] = {}
    i, j = n, m
    while i and j:
        if best[i][j] == best[i][j - 1]:
            j -= 1
        elif best[i][j] == best[i - 1][j]:
            i -= 1
        else:
            i, j = i - 1, j - 1
            found[j] = i
    return found


def _with_reordered(source: Sequence[GraphRow], target: Sequence[GraphRow], pairs: dict[int, int]) -> dict[int, int]:
    """The pairs, and rows that only stand elsewhere in the list: of one kind and size, with the same inputs.

    These go before pairs of different stock classes.
    """
    sure = {j: i for j, i in pairs.items() if _kind(source[i], target[j]) >= SAME_STOCK}
    changed = True
    while changed:
        changed = False
        points = _Points(source, target, {**pairs, **sure})
        for j, b in enumerate(target):
            for i, a in enumerate(source):
                if j in sure or i in sure.values() or _kind(a, b) < SAME_STOCK:
                    continue
                alike = (a.level, a.width, a.widths) == (b.level, b.width, b.widths)
                if alike and points.share_of_inputs(i, j) == 1:
                    sure[j] = i
                    changed = True
    taken = set(sure.values())
    return sure | {j: i for j, i in pairs.items() if j not in sure and i not in taken}
