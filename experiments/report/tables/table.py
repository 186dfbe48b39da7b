"""What every table of a report is made of."""

from dataclasses import dataclass

from experiments.report.comparison import Comparison
from experiments.statistics import Interval
from segplug.page.render import Entry

__all__ = ["METRICS", "Table", "seeds", "span", "unit_of"]

METRICS = {
    "detect": ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L", "AR100"),
    "segment": ("iou_crack", "miou", "f1", "precision", "recall", "iou_per_image", "ods_f1", "ois_f1"),
}


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


def span(interval: Interval, sign: str = "") -> str:
    """[low, high]; `sign` "+" for differences."""
    return f"[{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"


def unit_of(metric: str) -> str:
    """Of a metric's values."""
    return "px" if metric.startswith("hd95_px") else "images" if metric == "one_mask_empty" else "fraction"
