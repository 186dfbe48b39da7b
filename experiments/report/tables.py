"""The numbers of a comparison as tables: quality with differences to the baseline, per class, and cost."""

from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import Any

from experiments.metrics.coco_ap import CLASS_AP
from experiments.report.rows import HEADLINE, Comparison
from experiments.statistics import Interval

__all__ = [
    "HEADLINE",
    "MEMORY",
    "METRICS",
    "Cell",
    "Table",
    "cost_table",
    "per_class",
    "quality_table",
    "seeds",
    "span",
    "unit_of",
]

METRICS = {
    "detect": ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L", "AR100"),
    "segment": ("iou_crack", "miou", "f1", "precision", "recall", "iou_per_image", "ods_f1", "ois_f1"),
}
UNSTEADY = 1.5
MEMORY = "peak_memory_bytes"
_LATENCIES = ("latency_ms", "latency_p10_ms", "latency_p90_ms")

_DEFINITIONS = {
    "detect": "COCOeval's definition; fractions from 0 to 1. AP: mean over IoU 0.50 to 0.95 and classes. "
    "AP50, AP75: at that IoU. S, M, L: objects below 32², to 96², above 96² px² in the original image. AR100: recall "
    "with 100 detections an image. Not Ultralytics' own mAP. -: no object of that size.",
    "segment": "Fractions from 0 to 1 from crack pixels, 0 px tolerance. iou_crack = TP/(TP+FP+FN), miou = mean of it "
    "and the background's IoU, f1 = 2TP/(2TP+FP+FN), precision, recall: counts summed over the whole test set at "
    "threshold 0.5. iou_per_image: mean over images. ods_f1: at the one best threshold; ois_f1: at each image's best.",
}


_SMALL_PRINT = (
    "Small print: the difference to the baseline and its 95 % interval (of the baseline itself: the value's); "
    "± standard deviation over seeds where there is no interval."
)


@dataclass(frozen=True)
class Cell:
    """A value, and below it in small print what belongs to it, a line each."""

    value: str
    small: str = ""


@dataclass(frozen=True)
class Table:
    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    notes: list[str]


def quality_table(comparison: Comparison) -> Table:
    """One line a model, one column a metric; differences are of the means over shared seeds."""
    metrics = [m for m in METRICS[comparison.task] if any(comparison.values(x, m) for x in comparison.labels)]
    notes = [_DEFINITIONS[comparison.task], _SMALL_PRINT]
    return _metric_table(comparison, f"Quality, {comparison.split}", metrics, metrics, notes)


def per_class(comparison: Comparison) -> Table | None:
    """AP of each class as `quality_table` has the metrics; None where rows have no classes."""
    names = list(dict.fromkeys(name for row in comparison.rows for name in row.get("per_class", {})))
    if not names:
        return None
    notes = [f"AP of each class, mean over IoU 0.50 to 0.95. {_SMALL_PRINT}"]
    return _metric_table(comparison, "AP by class", [CLASS_AP + name for name in names], names, notes)


def cost_table(comparison: Comparison) -> Table:
    """Parameters, FLOPs, latency, training time and, where recorded, memory; medians or means over seeds."""
    columns = ["Model", "Parameters, M", "FLOPs, G", "Latency, ms", "Training, min", "Epochs x images"]
    memory = any(MEMORY in row["train"] for row in comparison.rows)
    columns += ["Memory, GB"] if memory else []
    base = _cost(comparison, comparison.baseline)
    lines, uncounted, speeds = [], {}, {}
    for label in comparison.labels:
        cost, train = _cost(comparison, label), comparison.of(label)[0]["train"]
        minutes = [row["train"]["seconds"] / 60 for row in comparison.of(label)]
        lines.append(
            [
                Cell(label, "baseline" if label == comparison.baseline else ""),
                _against(cost, base, "params", 1e6, label == comparison.baseline),
                _against(cost, base, "flops", 1e9, label == comparison.baseline),
                Cell(_number(cost, "latency_ms", 1, 1), _latencies(comparison, label)),
                Cell(f"{mean(minutes):.1f}", _ends(minutes)),
                Cell(f"{train['epochs']} x {train['images_per_epoch']}"),
                *([_memory(comparison, label)] if memory else []),
            ]
        )
        if cost:
            uncounted[label] = ", ".join(name.removeprefix("aten.") for name in cost["flops_uncounted"]) or "none"
            speeds[label] = cost["latency_protocol"]
    notes = [*_latency_notes(speeds), *_flops_notes(uncounted)]
    notes += ["Memory: the training process's peak, highest of the seeds."] if memory else []
    return Table("Cost", columns, lines, notes)


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


def _metric_table(
    comparison: Comparison, caption: str, metrics: list[str], columns: list[str], notes: list[str]
) -> Table:
    lines = [
        [Cell(label, seeds(comparison, label)), *(_quality(comparison, label, metric) for metric in metrics)]
        for label in comparison.labels
    ]
    return Table(caption, ["Model", *columns], lines, notes)


def _quality(comparison: Comparison, label: str, metric: str) -> Cell:
    values = list(comparison.values(label, metric).values())
    if not values:
        return Cell("-")
    if label == comparison.baseline:
        found = comparison.statistics.interval(label, metric)
        lines = [span(found)] if isinstance(found, Interval) else []
    else:
        found = comparison.statistics.difference(label, comparison.baseline, metric)
        apart = comparison.differences(label, metric)
        lines = [f"{mean(apart):+.3f}"] if apart else []
        lines += [span(found, "+")] if isinstance(found, Interval) else []
    if not isinstance(found, Interval) and len(values) > 1:
        lines.append(f"± {stdev(values):.3f}")
    return Cell(f"{mean(values):.3f}", "\n".join(lines))


def _cost(comparison: Comparison, label: str) -> dict[str, Any]:
    """Costs of all seeds: one size, the medians of the latencies and of their percentiles; empty when all diverged."""
    costs = [row["cost"] for row in comparison.of(label) if row["cost"]]
    return costs[0] | {key: median(cost[key] for cost in costs) for key in _LATENCIES} if costs else {}


def _memory(comparison: Comparison, label: str) -> Cell:
    known = [row["train"][MEMORY] for row in comparison.of(label) if row["train"].get(MEMORY)]
    return Cell(f"{max(known) / 1e9:.2f}" if known else "-")


def _against(cost: dict[str, Any], base: dict[str, Any], key: str, scale: float, is_base: bool) -> Cell:
    percent = f"{100 * (cost[key] / base[key] - 1):+.1f} %" if cost and base and not is_base else ""
    return Cell(_number(cost, key, scale, 2), percent)


def _number(cost: dict[str, Any], key: str, scale: float, digits: int) -> str:
    return f"{cost[key] / scale:.{digits}f}" if cost else "-"


def _latencies(comparison: Comparison, label: str) -> str:
    """10th to 90th percentile, then the seeds' medians; wide ones say that the machine had other work."""
    cost = _cost(comparison, label)
    if not cost:
        return ""
    low, high = cost["latency_p10_ms"], cost["latency_p90_ms"]
    medians = [row["cost"]["latency_ms"] for row in comparison.of(label) if row["cost"]]
    unsteady = high > UNSTEADY * low or max(medians) > UNSTEADY * min(medians)
    seeds = f";\nseeds {_ends(medians)}" if len(medians) > 1 else ""
    return f"{low:.1f} to {high:.1f}{', unsteady' * unsteady}{seeds}"


def _ends(values: list[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}" if len(values) > 1 else ""


def _latency_notes(protocols: dict[str, Any]) -> list[str]:
    notes = []
    for protocol in {str(p): p for p in protocols.values()}.values():
        size = protocol["imgsz_px"]
        notes.append(
            f"Latency: {protocol['statistic']} of {protocol['runs']} runs after {protocol['warmup']} for warm-up, "
            f"batch {protocol['batch']}, {size} x {size} px, {protocol['dtype']}, {protocol['device']}, "
            f"{protocol['threads']} thread(s); {protocol['covers']}. Small print: 10th to 90th percentile of the "
            "runs, then lowest to highest of the seeds; unsteady: either differs by more than a factor of "
            f"{UNSTEADY}, the machine had other work. Of several seeds: the median of each figure."
        )
    return list(dict.fromkeys(notes))


def _flops_notes(uncounted: dict[str, str]) -> list[str]:
    notes = [
        "FLOPs: 2 x multiply-accumulates, one image. Training: epochs with the validation after each; it "
        "ran beside whatever else the machine had to do. Small print: the seeds' lowest to highest."
    ]
    labels: dict[str, list[str]] = {}
    for label, names in uncounted.items():
        labels.setdefault(names, []).append(label)
    for names, those in labels.items():
        where = f" in {', '.join(those)}" if len(labels) > 1 else ""
        notes.append(f"Operations counted as 0{where}: {names}.")
    return notes
