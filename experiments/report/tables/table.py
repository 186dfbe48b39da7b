"""What every table of a report is made of."""

import math
from dataclasses import dataclass

from experiments.report.comparison import Comparison
from experiments.statistics import Interval
from segplug.page.render import Entry

UNEQUAL = 0.1
"""A model that is off the baseline's parameters by more than this share is not on an equal budget."""


@dataclass(frozen=True)
class Table:
    caption: str
    columns: list[str]
    rows: list[list[Entry]]
    notes: list[str]


def seeds(comparison: Comparison, label: str) -> str:
    """Small print below a model's name."""
    listed = "seed " + ", ".join(f"{row['seed']}{' (NaN)' * row['diverged']}" for row in comparison.of(label))
    return f"baseline, {listed}" if label == comparison.baseline else listed


def size_text(ratio: float) -> str:
    """Of a model that is not of the baseline's size: how much of it; above a tenth off, that the budget is unequal."""
    unequal = "unequal budget: " if abs(ratio - 1) > UNEQUAL else ""
    return f"{unequal}{ratio:.2f} x the baseline's parameters"


def decimals(low: float | None, high: float | None) -> int:
    """That a number between these deserves: half of it keeps two digits up to 35, else one (Particle Data Group)."""
    half = 0.0 if low is None or high is None else (high - low) / 2
    if not half > 0:
        return 3
    exponent = math.floor(math.log10(half))
    places = (2 if half < 3.55 * 10**exponent else 1) - 1 - exponent
    hidden = any(side and not round(side, places) for side in (low, high))  # an end beside 0 is not shown as 0
    return min(4, max(1, places + hidden))


def number(value: float, interval: Interval | str | None = None, sign: str = "") -> str:
    """`sign` "+" for differences."""
    digits = decimals(interval.low, interval.high) if isinstance(interval, Interval) else decimals(None, None)
    return f"{value:{sign}.{digits}f}"


def span(interval: Interval, sign: str = "") -> str:
    """[low, high]."""
    return f"[{number(interval.low, interval, sign)}, {number(interval.high, interval, sign)}]"


def unit_of(metric: str) -> str:
    """Of a metric's values."""
    return "px" if metric.startswith("hd95_px") else "images" if metric == "one_mask_empty" else "fraction"
