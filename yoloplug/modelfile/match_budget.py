"""Equal budgets: what makes a changed model cost what the stock model costs.

Two ways, of which the one that leaves the other budget nearer to stock is taken: the width multiple of the scale, which
moves all channels, in steps of 8, so that a small model jumps by 5 % from one width to the next; and the hidden width
of the swapped C2f, C3 and C3k2 rows alone (their `e`), also in steps of 8, which leaves the rest as it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import ceil, floor, inf, sqrt
from typing import Any, Literal, NamedTuple

from yoloplug.modelfile.file import ModelFile, ModelFileError
from yoloplug.modelfile.translate import FAMILIES

CostMetric = Literal["params", "flops"]
TOLERANCE = 0.02
"""Largest relative difference that still counts as the same budget."""

GOOD_ENOUGH = 0.005
"""At this relative difference a search ends."""

STEPS = (8, 16, 32)
"""Hidden widths are multiples of the first of these that the blocks accept and that comes within the tolerance."""


class Cost(NamedTuple):
    """Parameters, FLOPs of one image, width multiple."""

    params: int
    flops: int
    width: float

    @staticmethod
    def of(rows: Sequence[Any], width: float) -> Cost:
        """rows: as `yoloplug.bridge.trace` traced them."""
        return Cost(sum(row.params for row in rows), sum(row.flops for row in rows), width)


class Change(NamedTuple):
    """A width multiple of the scale, and (row, e) of each row whose hidden width changes."""

    width: float
    hidden: tuple[tuple[int, float], ...] = ()


class Matched(NamedTuple):
    """off: relative difference of the matched budget to the stock model's. refused: why a nearby change fell out."""

    change: Change
    cost: Cost
    off: float
    refused: str | None


def find(file: ModelFile, budget: CostMetric, stock: Cost, rows: set[int], imgsz: int = 640) -> Matched:
    """The change of `file`'s model, of whose rows `rows` were swapped, whose cost is nearest to the stock model's.

    Changes that a block refuses are passed over. Raises ModelFileError where none can be built. Deterministic.
    """
    width, wish = stock.width, getattr(stock, budget)
    tried: dict[Change, Cost | None] = {}

    def cost(change: Change) -> int | None:
        if change not in tried:
            tried[change] = _measured(with_change(file, change), change.width, imgsz)
        found = tried[change]
        return None if found is None else getattr(found, budget)

    def off(change: Change) -> float:
        return abs((cost(change) or inf) / wish - 1)

    widths = _widths(file, width)
    _close_in([Change(w) for w in widths], cost, wish, widths.index(width))
    for step in STEPS:
        hidden = _hidden_widths(file, width, rows, step)
        _close_in(hidden, cost, wish, len(hidden) // 2)
        if any(change.hidden and off(change) <= TOLERANCE for change in tried):
            break
    valid = {change: c for change, c in tried.items() if c is not None}
    if not valid:
        raise ModelFileError(f"{file.name}: the blocks refuse every width; {_refusal(file, tried)}")

    def rank(change: Change) -> tuple[float, float, Change]:
        both = max(abs(valid[change].params / stock.params - 1), abs(valid[change].flops / stock.flops - 1))
        return max(off(change), TOLERANCE), both, change

    best = min(valid, key=rank)
    return Matched(best, valid[best], getattr(valid[best], budget) / wish - 1, _refusal(file, tried))


def with_change(file: ModelFile, change: Change) -> dict[str, Any]:
    """The file's model dict with the change made."""
    model = dict(file.model)
    for part in ("backbone", "head"):
        model[part] = list(model[part])
    for index, e in change.hidden:
        row, first = file.rows[index], len(model["backbone"])
        at = (model[row.part], index - (first if row.part == "head" else 0))
        at[0][at[1]] = [row.source, row.repeats, row.name, with_e(file, index, e)]
    if not model.get("scales"):
        return model | ({"width_multiple": change.width} if change.width != model.get("width_multiple", 1.0) else {})
    depth, _, *cap = model["scales"][model["scale"]]
    return {**model, "scales": {**model["scales"], model["scale"]: [depth, change.width, *cap]}}


def with_e(file: ModelFile, index: int, e: float) -> list[Any]:
    """A row's arguments with another `e`, written out up to it."""
    from yoloplug.bridge.row_arguments import row_parameters

    args = file.rows[index].args
    values, options = (args[:-1], args[-1:]) if isinstance(args[-1], dict) else (args, [])
    parameters = row_parameters(file.rows[index].name.split("_")[0])
    position = list(parameters).index("e")
    defaults = [p.default for p in parameters.values()]
    values = [*values, *defaults[len(values) : position + 1]]
    return [*values[:position], e, *values[position + 1 :], *options]


def _close_in(
    changes: Sequence[Change], cost: Callable[[Change], int | None], wish: int, start: int
) -> None:  # fmt: skip
    """Evaluate the ascending changes around the wish; those without a cost are passed over."""
    low, high, middle = 0, len(changes) - 1, start
    while low <= high:
        outwards = sorted(range(low, high + 1), key=lambda i: abs(i - middle))
        found = next((i for i in outwards if cost(changes[i]) is not None), None)
        value = None if found is None else cost(changes[found])
        if found is None or value is None or abs(value - wish) <= GOOD_ENOUGH * wish:
            return
        low, high = (found + 1, high) if value < wish else (low, found - 1)
        middle = (low + high) // 2
        if not changes[found].hidden:  # the cost of a whole model grows with the square of its width
            guess = Change(changes[found].width * sqrt(wish / value))
            middle = min(max(bisect_left(changes, guess), low), high)


def _measured(model: dict[str, Any], width: float, imgsz: int) -> Cost | None:
    """Cost of a model dict; None where it cannot be built or run (attention heads that do not divide the width)."""
    from yoloplug.bridge.trace import RowError, builds, trace

    if not builds(model):
        return None
    try:
        rows = trace(model, imgsz)
    except RowError:
        return None
    return Cost.of(rows, width)


def _refusal(file: ModelFile, tried: dict[Change, Cost | None]) -> str | None:
    """Why the first refused change cannot be built; None if none was refused."""
    from yoloplug.bridge.trace import RowError, build

    change = next((change for change, c in tried.items() if c is None), None)
    if change is None:
        return None
    what = f"e {change.hidden[0][1]:g} of row {change.hidden[0][0]}" if change.hidden else f"width {change.width:g}"
    try:
        build(with_change(file, change))
    except RowError as error:
        return f"{what} is refused: {error}"
    return f"{what} cannot run"


def _hidden_widths(file: ModelFile, width: float, rows: set[int], step: int) -> list[Change]:
    """Hidden widths, multiples of `step`, from half to double of the present ones; each change moves at least one."""
    from yoloplug.bridge.row_arguments import row_parameters
    from yoloplug.bridge.trace import scaling

    cap = scaling(file.model)[2]
    outer: dict[int, tuple[int, float]] = {}
    for index in sorted(rows):
        row = file.rows[index]
        if row.name.split("_")[0] in FAMILIES and row.args and isinstance(row.args[0], int):
            parameters = row_parameters(row.name.split("_")[0])
            given = dict(zip(parameters, row.args, strict=False))
            e = given.get("e", parameters["e"].default)
            outer[index] = (ceil(min(row.args[0], cap) * width / 8) * 8, 0.5 if isinstance(e, dict) else float(e))
    if not outer:
        return []
    factors = sorted(
        {step * (k + 0.5) / (c * e) for c, e in outer.values() for k in range(int(2 * c * e / step) + 1)} | {1.0}
    )
    changes = []
    for factor in (f for f in factors if 0.5 <= f <= 2):
        hidden = {i: max(floor(c * e * factor / step + 0.5), 1) * step for i, (c, e) in outer.items()}
        change = Change(width, tuple((i, ceil(1e4 * h / outer[i][0]) / 1e4) for i, h in hidden.items()))
        if change not in changes:
            changes.append(change)
    return changes


def _widths(file: ModelFile, width: float) -> list[float]:
    """Width multiples from a quarter to four times the present one at which channels step by 8, ascending.

    Four decimals, rounded down: Ultralytics rounds channels up to a multiple of 8.
    """
    from yoloplug.bridge.trace import scaling

    cap = scaling(file.model)[2]
    channels = {min(r.args[0], cap) for r in file.rows if r.args and type(r.args[0]) is int and r.args[0] >= 8}
    steps = {floor(1e4 * 8 * k / c) / 1e4 for c in channels for k in range(int(width * c / 32), int(width * c / 2) + 2)}
    return sorted({w for w in steps if width / 4 <= w <= width * 4} | {width})
