"""What each model of a comparison costs: parameters, FLOPs, latency, training time and memory."""

from statistics import mean, median
from typing import Any

from experiments.report.comparison import Comparison
from experiments.report.tables.table import Table
from segplug.page.render import Entry

UNSTEADY = 1.5
MEMORY = "peak_memory_bytes"
_LATENCIES = ("latency_ms", "latency_p10_ms", "latency_p90_ms")


def cost_table(comparison: Comparison) -> Table:
    """Parameters, FLOPs, latency, training time and, where recorded, memory; medians or means over seeds."""
    columns = ["Model", "Parameters, M", "FLOPs, G", "Latency, ms", "Training, min", "Epochs x images"]
    memory = any(MEMORY in row["train"] for row in comparison.rows)
    columns += ["Memory, GB"] if memory else []
    base = _cost(comparison, comparison.baseline)
    lines, speeds, uncounted = [], {}, set[str]()
    for label in comparison.labels:
        cost, train = _cost(comparison, label), comparison.of(label)[0]["train"]
        minutes = [row["train"]["seconds"] / 60 for row in comparison.of(label)]
        lines.append(
            [
                Entry(label, "baseline" if label == comparison.baseline else ""),
                _against(cost, base, "params", 1e6, label == comparison.baseline),
                _against(cost, base, "flops", 1e9, label == comparison.baseline),
                Entry(_number(cost, "latency_ms", 1, 1), _latencies(comparison, label)),
                Entry(f"{mean(minutes):.1f}", _ends(minutes)),
                Entry(f"{train['epochs']} x {train['images_per_epoch']}"),
                *([_memory(comparison, label)] if memory else []),
            ]
        )
        if cost:
            uncounted |= {name.removeprefix("aten.") for name in cost["flops_uncounted"]}
            speeds[label] = cost["latency_protocol"]
    notes = [*_latency_notes(speeds), *_flops_notes(uncounted)]
    notes += ["Memory: the training process's peak, highest of the seeds."] if memory else []
    return Table("Cost", columns, lines, notes)


def _cost(comparison: Comparison, label: str) -> dict[str, Any]:
    """Costs of all seeds: one size, the medians of the latencies and of their percentiles; empty when all diverged."""
    costs = [row["cost"] for row in comparison.of(label) if row["cost"]]
    return costs[0] | {key: median(cost[key] for cost in costs) for key in _LATENCIES} if costs else {}


def _memory(comparison: Comparison, label: str) -> Entry:
    known = [row["train"][MEMORY] for row in comparison.of(label) if row["train"].get(MEMORY)]
    return Entry(f"{max(known) / 1e9:.2f}" if known else "-")


def _against(cost: dict[str, Any], base: dict[str, Any], key: str, scale: float, is_base: bool) -> Entry:
    percent = f"{100 * (cost[key] / base[key] - 1):+.1f} %" if cost and base and not is_base else ""
    return Entry(_number(cost, key, scale, 2), percent)


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


def _flops_notes(uncounted: set[str]) -> list[str]:
    return [
        "FLOPs: 2 x multiply-accumulates, one image. Training: epochs with the validation after each; it "
        "ran beside whatever else the machine had to do. Small print: the seeds' lowest to highest.",
        f"Operations of one or more of the models that count as 0: {', '.join(sorted(uncounted)) or 'none'}.",
    ]
