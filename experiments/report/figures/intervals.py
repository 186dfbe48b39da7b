"""Intervals of differences to the baseline, by model and metric, as the plots want them."""

from experiments.metrics.coco_ap import CLASS_AP
from experiments.report.comparison import Comparison
from experiments.statistics import Interval

Intervals = dict[tuple[str, str], tuple[float, float]]  # (label, metric or "AP of <class>") -> low, high


def intervals(comparison: Comparison) -> Intervals:
    """Of every model but the baseline, where there are enough seeds and per-image files."""
    classes = dict.fromkeys(CLASS_AP + name for row in comparison.rows for name in row.get("per_class", {}))
    answers = {
        (label, metric): comparison.statistics.difference(label, comparison.baseline, metric)
        for label in comparison.labels
        if label != comparison.baseline
        for metric in (*comparison.task.metrics, *classes)
    }
    return {key: (found.low, found.high) for key, found in answers.items() if isinstance(found, Interval)}
