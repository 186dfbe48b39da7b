"""Quality against cost: a point a model, the interval of its difference to the baseline, and the Pareto front."""

from statistics import mean, median
from typing import Any

from matplotlib.figure import Figure

from experiments.report.comparison import Comparison
from experiments.report.figures.intervals import Intervals
from experiments.report.figures.theme import colour, legend, marker, panel

Point = tuple[float, float]  # cost, quality


def latency(comparison: Comparison, intervals: Intervals) -> Figure | None:
    """Headline metric against latency, 10th to 90th percentile of the runs as horizontal bars."""
    return _against(comparison, intervals, "latency_ms", 1.0, "latency, ms (fused, batch 1)")


def size(comparison: Comparison, intervals: Intervals) -> Figure | None:
    """Headline metric against parameters."""
    return _against(comparison, intervals, "params", 1e6, "parameters, millions")


def pareto(points: list[Point]) -> list[Point]:
    """Points that no other beats in one respect without losing in the other, by cost. Equal points are kept once."""
    front: list[Point] = []
    for cost, quality in sorted(set(points), key=lambda p: (p[0], -p[1])):
        if not front or quality > front[-1][1]:
            front.append((cost, quality))
    return front


def _against(comparison: Comparison, intervals: Intervals, key: str, scale: float, name: str) -> Figure | None:
    metric = comparison.headline
    figure, axes = panel(len(comparison.labels) + 1)
    points: list[Point] = []
    base = comparison.values(comparison.baseline, metric)
    for index, label in enumerate(comparison.labels):
        known = [(row["cost"], row["metrics"].get(metric)) for row in comparison.of(label) if row["cost"]]
        costs, seeds = (
            [c for c, value in known if value is not None],
            [value for _, value in known if value is not None],
        )
        if not seeds:
            continue
        x = median(cost[key] / scale for cost in costs)
        y = mean(seeds)
        points.append((x, y))
        shade = colour(index)
        axes.plot(x, y, marker(index), color=shade, markersize=7, label=label, zorder=3)
        if len(seeds) > 1:
            axes.plot([x] * len(seeds), seeds, "_", color=shade, markersize=5, alpha=0.6)
        apart = intervals.get((label, metric))
        if apart and base:
            low, high = (mean(base.values()) + side for side in apart)
            axes.vlines(x, low, high, color=shade, linewidth=1.4)
        if key == "latency_ms":
            fast = median(cost["latency_p10_ms"] for cost in costs)
            slow = median(cost["latency_p90_ms"] for cost in costs)
            axes.hlines(y, fast, slow, color=shade, linewidth=0.8)
    if not points:
        return None
    if base:
        axes.axhline(mean(base.values()), color=colour(0), linewidth=0.7, linestyle=":")
    front = pareto(points)
    axes.step(*zip(*front, strict=True), where="post", color="0.5", linewidth=1, linestyle="--", label="Pareto front")
    axes.set_xlabel(name)
    axes.set_ylabel(metric)
    axes.margins(0.12)
    _widen(axes, points)
    return legend(figure, axes)


def _widen(axes: Any, points: list[Point]) -> None:
    """A scale that blows a difference of a thousandth up to the whole height would mislead."""
    low, high = axes.get_ylim()
    least = 0.1 * max(abs(y) for _, y in points) or 0.01
    if high - low < least:
        middle = (low + high) / 2
        axes.set_ylim(middle - least / 2, middle + least / 2)
    if len({x for x, _ in points}) == 1:
        x = points[0][0]
        axes.set_xlim(0.8 * x, 1.2 * x)
