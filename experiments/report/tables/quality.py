"""The metrics of a comparison, on all classes and on each, with differences to the baseline."""

from statistics import mean, stdev

from experiments.metrics.coco_ap import CLASS_AP
from experiments.report.comparison import Comparison
from experiments.report.tables.table import Table, number, seeds, span
from experiments.statistics import Interval
from segplug.page.render import Entry

_SMALL_PRINT = (
    "Small print: the difference to the baseline and its 95 % interval (of the baseline itself: the value's); "
    "± standard deviation over seeds where there is no interval."
)


def quality_table(comparison: Comparison) -> Table:
    """One line a model, one column a metric; differences are of the means over shared seeds."""
    metrics = [m for m in comparison.task.metrics if any(comparison.values(x, m) for x in comparison.labels)]
    notes = [comparison.task.definition, _SMALL_PRINT]
    return _metric_table(comparison, f"Quality, {comparison.split}", metrics, metrics, notes)


def per_class(comparison: Comparison) -> Table | None:
    """AP of each class as `quality_table` has the metrics; None where rows have no classes."""
    names = list(dict.fromkeys(name for row in comparison.rows for name in row.get("per_class", {})))
    if not names:
        return None
    notes = [f"AP of each class, mean over IoU 0.50 to 0.95. {_SMALL_PRINT}"]
    return _metric_table(comparison, "AP by class", [CLASS_AP + name for name in names], names, notes)


def _metric_table(
    comparison: Comparison, caption: str, metrics: list[str], columns: list[str], notes: list[str]
) -> Table:
    lines = [
        [Entry(label, seeds(comparison, label)), *(_quality(comparison, label, metric) for metric in metrics)]
        for label in comparison.labels
    ]
    return Table(caption, ["Model", *columns], lines, notes)


def _quality(comparison: Comparison, label: str, metric: str) -> Entry:
    values = list(comparison.values(label, metric).values())
    if not values:
        return Entry("-")
    if label == comparison.baseline:
        found = comparison.statistics.interval(label, metric)
        lines = [span(found)] if isinstance(found, Interval) else []
    else:
        found = comparison.statistics.difference(label, comparison.baseline, metric)
        apart = comparison.differences(label, metric)
        lines = [number(mean(apart), found, "+")] if apart else []
        lines += [span(found, "+")] if isinstance(found, Interval) else []
    if not isinstance(found, Interval) and len(values) > 1:
        lines.append(f"± {stdev(values):.3f}")
    return Entry(number(mean(values), found), "\n".join(lines))
