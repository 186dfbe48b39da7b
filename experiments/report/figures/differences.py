"""Differences to the baseline by metric and by class, with intervals, and kinds of error: a dot a model."""

from statistics import mean
from typing import Any

from matplotlib.figure import Figure

from experiments.metrics.coco_ap import CLASS_AP
from experiments.report.comparison import Comparison
from experiments.report.figures.intervals import Intervals
from experiments.report.figures.theme import colour, legend, marker, panel
from experiments.report.tables.errors import mean_errors
from yoloplug.names import printable

MOST_CLASSES = 20
_DOT_HEIGHT = 0.115  # inches
_LEAST = 0.02
_LONGEST = 40  # characters of a class's name


def verdict(comparison: Comparison, intervals: Intervals) -> Figure | None:
    """The metric that verdicts are about, a line a model."""
    metric = comparison.headline
    others = [label for label in comparison.labels if comparison.differences(label, metric)]
    models = [label for label in others if label != comparison.baseline]
    if not models:
        return None
    figure, axes = panel(0, 0.7 + 0.26 * len(models))
    for place, label in enumerate(models):
        index = comparison.labels.index(label)
        if (label, metric) in intervals:
            axes.hlines(place, *intervals[label, metric], color=colour(index), linewidth=1.8)
        apart = comparison.differences(label, metric)
        axes.plot(mean(apart), place, marker(index), color=colour(index), markersize=6)
    _around_zero(axes)
    axes.set_yticks(range(len(models)), [_short(label) for label in models])
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    _name_across(axes, f"difference in {comparison.task.headline_name} to the baseline")
    return figure


def metrics(comparison: Comparison, intervals: Intervals) -> Figure | None:
    """Every metric, difference of the means over shared seeds."""
    return _differences(comparison, intervals, list(comparison.task.metrics), "difference to the baseline")


def classes(comparison: Comparison, intervals: Intervals) -> Figure | None:
    """AP of each class; of many classes those that differ most."""
    names = dict.fromkeys(CLASS_AP + name for row in comparison.rows for name in row.get("per_class", {}))
    others = [label for label in comparison.labels if label != comparison.baseline]
    size = {
        name: max((abs(mean(apart)) for x in others if (apart := comparison.differences(x, name))), default=0.0)
        for name in names
    }
    most = sorted(names, key=lambda name: -size[name])[:MOST_CLASSES]
    shown = [name for name in names if name in most]
    return _differences(comparison, intervals, shown, "difference in AP to the baseline")


def errors(comparison: Comparison, intervals: Intervals) -> Figure | None:
    """What each kind of error costs, mean over seeds."""
    kinds, found = mean_errors(comparison)
    if not kinds:
        return None
    lines = {label: {kind: found[label].get(kind, 0.0) for kind in kinds} for label in found}
    figure, axes = _dots(comparison, lines, kinds, {})
    axes.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    _name_across(axes, comparison.task.errors[1])
    axes.set_xlim(left=0)
    return legend(figure, axes)


def _differences(comparison: Comparison, intervals: Intervals, names: list[str], text: str) -> Figure | None:
    lines = {}
    for label in comparison.labels:
        apart = {name: comparison.differences(label, name) for name in names}
        if label != comparison.baseline and any(apart.values()):
            lines[label] = {name: mean(values) for name, values in apart.items() if values}
    shown = [name for name in names if any(name in line for line in lines.values())]
    if not shown:
        return None
    figure, axes = _dots(comparison, lines, shown, intervals)
    _around_zero(axes)
    axes.set_yticks(range(len(shown)), [_short(name.removeprefix(CLASS_AP)) for name in shown])
    _name_across(axes, text)
    return legend(figure, axes)


def _dots(
    comparison: Comparison, lines: dict[str, dict[str, float]], names: list[str], intervals: Intervals
) -> tuple[Figure, Any]:
    """A band of the plot for each name, in it a dot and its interval for each model."""
    figure, axes = panel(len(lines), 0.75 + len(names) * (0.12 + _DOT_HEIGHT * len(lines)))
    for order, (label, values) in enumerate(lines.items()):
        index = comparison.labels.index(label)
        shown = [(place, name) for place, name in enumerate(names) if name in values]
        ys = [place + (order - (len(lines) - 1) / 2) * 0.8 / len(lines) for place, _ in shown]
        for y, (_, name) in zip(ys, shown, strict=True):
            if (label, name) in intervals:
                axes.hlines(y, *intervals[label, name], color=colour(index), linewidth=1.3)
        xs = [values[name] for _, name in shown]
        axes.plot(xs, ys, marker(index), color=colour(index), markersize=4.5, label=label)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.hlines([place + 0.5 for place in range(len(names) - 1)], 0, 1, transform=axes.get_yaxis_transform(), alpha=0.2,
                color="0.5", linewidth=0.6)  # fmt: skip
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.06)
    return figure, axes


def _around_zero(axes: Any) -> None:
    """A line at 0, and at least _LEAST on both its sides: a thousandth must not look like a difference."""
    axes.axvline(0, color=colour(0), linewidth=1)
    axes.margins(x=0.08)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -_LEAST), max(high, _LEAST))
    axes.locator_params(axis="x", nbins=4)


def _name_across(axes: Any, text: str) -> None:
    """Ends where the axis ends: long names of models leave too little width for a label in its middle."""
    axes.set_xlabel(text, loc="right")


def _short(name: str) -> str:
    """Cut in the middle: names of models differ at both ends."""
    shown = printable(name)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST // 2]}…{shown[1 - _LONGEST // 2 :]}"
