"""The numbers of a comparison as tables: quality with differences to the baseline, and cost."""

from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from experiments.report.rows import Comparison

__all__ = ["HEADLINE", "METRICS", "Cell", "Table", "cost_table", "evidence", "quality_table", "sentence"]

METRICS = {
    "detect": ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L", "AR100"),
    "segment": ("iou_crack", "miou", "f1", "precision", "recall", "iou_per_image", "ods_f1", "ois_f1"),
}
HEADLINE = {"detect": "AP", "segment": "iou_crack"}
ENOUGH_SEEDS = 3
UNSTEADY = 1.5

_DEFINITIONS = {
    "detect": "COCOeval, by faster-coco-eval; fractions from 0 to 1. AP: mean over IoU 0.50 to 0.95 and classes. "
    "AP50, AP75: at that IoU. S, M, L: objects below 32², to 96², above 96² px² in the original image. AR100: recall "
    "with 100 detections an image. Not Ultralytics' own mAP. -: no object of that size.",
    "segment": "Fractions from 0 to 1 from crack pixels, 0 px tolerance. iou_crack = TP/(TP+FP+FN), miou = mean of it "
    "and the background's IoU, f1 = 2TP/(2TP+FP+FN), precision, recall: counts summed over the whole test set at "
    "threshold 0.5. iou_per_image: mean over images. ods_f1: at the one best threshold; ois_f1: at each image's best.",
}


@dataclass(frozen=True)
class Cell:
    """A value, and below it in small print what belongs to it."""

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
    lines = []
    for label in comparison.labels:
        seeds = "seed " + ", ".join(str(row["seed"]) for row in comparison.of(label))
        name = Cell(label, f"baseline, {seeds}" if label == comparison.baseline else seeds)
        numbers = [_quality(comparison, label, metric) for metric in metrics]
        lines.append([name, Cell(evidence(comparison, label)), *numbers])
    notes = [_DEFINITIONS[comparison.task], "Small print: difference to the baseline; ± standard deviation over seeds."]
    caption = f"Quality, {comparison.rows[0]['method'].get('split', 'no split named')}"
    return Table(caption, ["Model", f"Evidence ({HEADLINE[comparison.task]})", *metrics], lines, notes)


def cost_table(comparison: Comparison) -> Table:
    """Parameters, FLOPs, latency and training time, medians over seeds where they vary."""
    columns = ["Model", "Parameters, M", "FLOPs, G", "Latency, ms", "Training, min", "Epochs x images"]
    base = _cost(comparison, comparison.baseline)
    lines, uncounted, speeds = [], {}, {}
    for label in comparison.labels:
        cost, train = _cost(comparison, label), comparison.of(label)[0]["train"]
        minutes = mean(row["train"]["seconds"] for row in comparison.of(label)) / 60
        lines.append(
            [
                Cell(label, "baseline" if label == comparison.baseline else ""),
                _against(cost, base, "params", 1e6, label == comparison.baseline),
                _against(cost, base, "flops", 1e9, label == comparison.baseline),
                Cell(_number(cost, "latency_ms", 1, 1), _spread(cost)),
                Cell(f"{minutes:.1f}"),
                Cell(f"{train['epochs']} x {train['images_per_epoch']}"),
            ]
        )
        if cost:
            uncounted[label] = ", ".join(name.removeprefix("aten.") for name in cost["flops_uncounted"]) or "none"
            speeds[label] = cost["latency_protocol"]
    return Table("Cost", columns, lines, [*_latency_notes(speeds), *_flops_notes(uncounted)])


def evidence(comparison: Comparison, label: str) -> str:
    """Fewer than three seeds prove nothing; with more, the range of the paired differences is given."""
    if any(row["diverged"] for row in comparison.of(label)):
        return "diverged (NaN)"
    if label == comparison.baseline:
        return "-"
    differences = comparison.differences(label, HEADLINE[comparison.task])
    if len(differences) < ENOUGH_SEEDS:
        counted = f"{len(differences)} shared seed" + ("" if len(differences) == 1 else "s")
        return f"insufficient evidence ({counted}, {ENOUGH_SEEDS} needed)"
    return f"{len(differences)} seeds: {min(differences):+.3f} to {max(differences):+.3f}"


def sentence(comparison: Comparison, label: str) -> str:
    """What came out for one model, in words."""
    metric = HEADLINE[comparison.task]
    values, differences = comparison.values(label, metric), comparison.differences(label, metric)
    if not values or not differences:
        return f"{label}: no {metric} to compare; {evidence(comparison, label)}."
    base = mean(comparison.values(comparison.baseline, metric).values())
    return (
        f"{label}: {metric} {mean(values.values()):.3f} against {base:.3f} of {comparison.baseline}, "
        f"difference {mean(differences):+.3f}; {evidence(comparison, label)}."
    )


def _quality(comparison: Comparison, label: str, metric: str) -> Cell:
    values = list(comparison.values(label, metric).values())
    if not values:
        return Cell("-")
    small = [f"± {stdev(values):.3f}"] if len(values) > 1 else []
    differences = comparison.differences(label, metric)
    if differences and label != comparison.baseline:
        small.insert(0, f"{mean(differences):+.3f}")
    return Cell(f"{mean(values):.3f}", " ".join(small))


def _cost(comparison: Comparison, label: str) -> dict[str, Any]:
    """The cost of the seed with the median latency; empty when every seed diverged."""
    costs = sorted((row["cost"] for row in comparison.of(label) if row["cost"]), key=lambda cost: cost["latency_ms"])
    return costs[len(costs) // 2] if costs else {}


def _against(cost: dict[str, Any], base: dict[str, Any], key: str, scale: float, is_base: bool) -> Cell:
    percent = f"{100 * (cost[key] / base[key] - 1):+.1f} %" if cost and base and not is_base else ""
    return Cell(_number(cost, key, scale, 2), percent)


def _number(cost: dict[str, Any], key: str, scale: float, digits: int) -> str:
    return f"{cost[key] / scale:.{digits}f}" if cost else "-"


def _spread(cost: dict[str, Any]) -> str:
    """10th to 90th percentile; a wide one means that the machine had other work, and the median is worth little."""
    if not cost:
        return ""
    low, high = cost["latency_p10_ms"], cost["latency_p90_ms"]
    return f"{low:.1f} to {high:.1f}" + (", unsteady" if high > UNSTEADY * low else "")


def _latency_notes(protocols: dict[str, Any]) -> list[str]:
    notes = []
    for protocol in {str(p): p for p in protocols.values()}.values():
        size = protocol["imgsz_px"]
        notes.append(
            f"Latency: {protocol['statistic']} of {protocol['runs']} runs after {protocol['warmup']} for warm-up, "
            f"batch {protocol['batch']}, {size} x {size} px, {protocol['dtype']}, {protocol['device']}, "
            f"{protocol['threads']} thread(s); {protocol['covers']}. Small print: 10th to 90th percentile of the "
            f"runs; unsteady: they differ by more than a factor of {UNSTEADY}, the machine had other work."
        )
    return list(dict.fromkeys(notes))


def _flops_notes(uncounted: dict[str, str]) -> list[str]:
    notes = ["FLOPs: 2 x multiply-accumulates, one image. Training: epochs with the validation after each."]
    same = len(set(uncounted.values())) == 1
    for label, names in list(uncounted.items())[: 1 if same else None]:
        notes.append(f"Operations counted as 0{'' if same else f' in {label}'}: {names}.")
    return notes
