"""Equal budgets: the scale at which a changed model costs what the stock model costs.

The width multiple moves all channels, in steps of 8, so that parameters of a small model jump by 5 % from one width to
the next. Where no width is near enough, `max_channels`, the cap on the deepest level, makes the finer step.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from math import floor, inf, sqrt
from typing import Any, Literal, NamedTuple

from yoloplug.model_file import ModelFile, ModelFileError

__all__ = ["TOLERANCE", "Budget", "Match", "Scale", "find_scale", "with_scale"]

Budget = Literal["params", "flops"]
TOLERANCE = 0.02
"""Largest relative difference that still counts as the same budget."""

GOOD_ENOUGH = 0.005
"""At this relative difference the search ends."""

CAPPED_WIDTHS = 4
"""So many widths above the wish are tried with a smaller cap."""


class Scale(NamedTuple):
    """max_channels: inf in a file without `scales`."""

    width: float
    max_channels: float = inf


class Match(NamedTuple):
    """cost: parameters or FLOPs at `scale`; off: its relative difference to the wish; refused: why a width fell out."""

    scale: Scale
    cost: int
    off: float
    refused: str | None


def find_scale(file: ModelFile, budget: Budget, wish: int, imgsz: int = 640) -> Match:
    """The scale whose cost is nearest to `wish`; the cap moves only if no width alone is within the tolerance.

    Scales at which a block refuses its channels are passed over. Raises ModelFileError where none can be built. The
    search is deterministic, and closes in on the wish over the scales at which any channel count changes.
    """
    from yoloplug.bridge.trace import scaling

    _, width, cap = scaling(file.model)
    measure, tried = _measure(budget, imgsz), {}

    def cost(scale: Scale) -> int | None:
        if scale not in tried:
            tried[scale] = measure(with_scale(file.model, scale))
        return tried[scale]

    def best() -> tuple[float, float, Scale, int]:
        valid = [(abs(c - wish), abs(s.width - width), s, c) for s, c in tried.items() if c is not None]
        if not valid:
            raise ModelFileError(f"{file.name}: the blocks refuse every width; {_refusal(file, tried, width)}")
        return min(valid)

    widths = _widths(file, width, cap)
    _close_in([Scale(w, cap) for w in widths], cost, wish, widths.index(width))
    if best()[0] > TOLERANCE * wish and cap < inf:
        largest = max(min(c, cap) for c in _channels(file))
        low = max((s.width for s, c in tried.items() if c is not None and c <= wish), default=widths[0])
        too_large = (w for w in widths if low < w <= 2 * width and (cost(Scale(w, cap)) or 0) > wish)
        for w in islice(too_large, CAPPED_WIDTHS):
            caps = sorted({floor(8 * k / w) for k in range(int(largest * w / 16), int(largest * w / 8) + 1)})
            capped = [Scale(w, c) for c in caps if largest / 2 <= c < largest]
            _close_in(capped, cost, wish, len(capped) - 1)
            if best()[0] <= TOLERANCE * wish:
                break
    *_, scale, value = best()
    return Match(scale, value, value / wish - 1, _refusal(file, tried, scale.width))


def with_scale(model: dict[str, Any], scale: Scale) -> dict[str, Any]:
    """The model dict with another width multiple and cap at its scale."""
    if not model.get("scales"):
        return {**model, "width_multiple": scale.width}
    depth = model["scales"][model["scale"]][0]
    cap = scale.max_channels
    row = [depth, scale.width, int(cap) if cap == int(cap) else cap]
    return {**model, "scales": {**model["scales"], model["scale"]: row}}


def _close_in(scales: Sequence[Scale], cost: Callable[[Scale], int | None], wish: int, start: int) -> None:
    """Evaluate the ascending scales around the wish; those without a cost are passed over.

    Cost grows with the square of the width, so that each step guesses well, and narrows the bracket.
    """
    low, high, middle = 0, len(scales) - 1, start
    while low <= high:
        costs = ((i, cost(scales[i])) for i in _outwards(middle, low, high))
        found, value = next(((i, c) for i, c in costs if c is not None), (None, None))
        if found is None or value is None or abs(value - wish) <= GOOD_ENOUGH * wish:
            return
        low, high = (found + 1, high) if value < wish else (low, found - 1)
        guess = Scale(scales[found].width * sqrt(wish / value), scales[found].max_channels)
        by_width = scales[0].width != scales[-1].width
        middle = min(max(bisect_left(scales, guess), low), high) if by_width else (low + high) // 2


def _outwards(middle: int, low: int, high: int) -> Iterator[int]:
    return iter(sorted(range(low, high + 1), key=lambda i: abs(i - middle)))


def _measure(budget: Budget, imgsz: int) -> Callable[[dict[str, Any]], int | None]:
    """Cost of a model dict; None where it cannot be built or run (attention heads that do not divide the width)."""
    from yoloplug.bridge.trace import RowError, builds, trace

    def measure(model: dict[str, Any]) -> int | None:
        if not builds(model):
            return None
        try:
            return sum(getattr(row, budget) for row in trace(model, imgsz))
        except RowError:
            return None

    return measure


def _refusal(file: ModelFile, tried: dict[Scale, int | None], width: float) -> str | None:
    """Why the refused scale nearest to `width` cannot be built; None if none was refused."""
    from yoloplug.bridge.trace import RowError, build

    refused = sorted((abs(s.width - width), s) for s, c in tried.items() if c is None)
    if not refused:
        return None
    scale = refused[0][1]
    try:
        build(with_scale(file.model, scale))
    except RowError as error:
        return f"width {scale.width:g} is refused: {error}"
    return f"width {scale.width:g} cannot run"


def _channels(file: ModelFile) -> set[int]:
    """Widths that rows of the file ask for, before scaling."""
    return {row.args[0] for row in file.rows if row.args and type(row.args[0]) is int and row.args[0] >= 8}


def _widths(file: ModelFile, width: float, cap: float) -> list[float]:
    """Widths between a quarter and four times the present one at which a row's channels step by 8, ascending.

    Four decimals, rounded down: Ultralytics rounds channels up to a multiple of 8.
    """
    channels = {min(c, cap) for c in _channels(file)}
    steps = {floor(1e4 * 8 * k / c) / 1e4 for c in channels for k in range(int(width * c / 32), int(width * c / 2) + 2)}
    return sorted({w for w in steps if width / 4 <= w <= width * 4} | {width})
