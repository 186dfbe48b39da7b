"""Every number of a report as one long CSV, in full precision."""

import csv
import io
from collections.abc import Iterator
from statistics import mean, stdev
from typing import Any

from experiments.metrics.coco_ap import CLASS_AP
from experiments.report.comparison import Comparison
from experiments.report.forms.escape import csv_text
from experiments.report.tables.cost import MEMORY
from experiments.report.tables.table import unit_of
from experiments.statistics import Interval, Verdict

_CSV_COLUMNS = """name task dataset dataset_hash subset model baseline metric unit seeds mean standard_deviation
low high difference difference_low difference_high p p_holm verdict reason detectable drawn""".split()
_COSTS = {"params": "1", "flops": "1", "latency_ms": "ms"}


def csv_table(comparisons: list[Comparison]) -> str:
    """One line for each model and number, full precision; the verdict in the line of the headline metric."""
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, _CSV_COLUMNS, lineterminator="\n")
    table.writeheader()
    for comparison in comparisons:
        for part in (comparison, *comparison.subsets):
            table.writerows(_quality_lines(part))
        for label in comparison.labels:
            table.writerows(_cost_lines(comparison, label))
    return buffer.getvalue()


def _quality_lines(comparison: Comparison) -> Iterator[dict[str, Any]]:
    recorded = dict.fromkeys(comparison.task.metrics)
    for row in comparison.rows:
        recorded |= dict.fromkeys([*row["metrics"], *(CLASS_AP + name for name in row.get("per_class", {}))])
    for label in comparison.labels:
        for metric in recorded:
            values, apart = comparison.values(label, metric), comparison.differences(label, metric)
            line = _shared(comparison, label, metric, unit_of(metric))
            line |= {"seeds": len(values)}
            if values:
                own = comparison.statistics.interval(label, metric)
                line |= {"mean": mean(values.values())} | _ends("", own)
                line |= {"standard_deviation": stdev(values.values())} if len(values) > 1 else {}
            if apart and label != comparison.baseline:
                found = comparison.statistics.difference(label, comparison.baseline, metric)
                line |= {"difference": mean(apart)} | _ends("difference_", found)
                line |= {"p": found.p} if isinstance(found, Interval) else {}
            if metric == comparison.headline and label in comparison.verdicts:
                line |= _judged(comparison, comparison.verdicts[label])
            yield line
    yield from _equal_size_lines(comparison)


def _equal_size_lines(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Models against the stock models scaled to their size, which stand in `baseline`; by the headline metric alone."""
    metric = comparison.headline
    for (label, stock), verdict in comparison.controlled.items():
        values, apart = comparison.values(label, metric), comparison.differences(label, metric, stock)
        line = _shared(comparison, label, metric, unit_of(metric)) | {"baseline": csv_text(stock), "seeds": len(values)}
        line |= {"mean": mean(values.values())} if values else {}
        line |= {"difference": mean(apart)} if apart else {}
        if verdict.difference:
            line |= {"p": verdict.difference.p} | _ends("difference_", verdict.difference)
        yield line | _judged(comparison, verdict)


def _judged(comparison: Comparison, verdict: Verdict) -> dict[str, Any]:
    """`drawn`: what the bootstrap of the interval drew."""
    shown = {"p_holm": verdict.p_holm, "verdict": verdict.word, "reason": verdict.reason}
    return {**shown, "detectable": verdict.detectable, "drawn": comparison.drawn}


def _cost_lines(comparison: Comparison, label: str) -> Iterator[dict[str, Any]]:
    for metric, unit in _COSTS.items():
        costs = [row["cost"][metric] for row in comparison.of(label) if row["cost"]]
        yield _shared(comparison, label, metric, unit) | {"seeds": len(costs), "mean": mean(costs) if costs else ""}
    seconds = [row["train"]["seconds"] for row in comparison.of(label)]
    yield _shared(comparison, label, "training", "s") | {"seeds": len(seconds), "mean": mean(seconds)}
    peaks = [row["train"][MEMORY] for row in comparison.of(label) if row["train"].get(MEMORY)]
    if peaks:
        yield _shared(comparison, label, MEMORY, "byte") | {"seeds": len(peaks), "mean": mean(peaks)}


def _shared(comparison: Comparison, label: str, metric: str, unit: str) -> dict[str, Any]:
    row = comparison.rows[0]
    found = {key: row[key] for key in ("name", "task", "dataset", "dataset_hash", "baseline")}
    texts = {**found, "subset": comparison.subset or "", "model": label, "metric": metric, "unit": unit}
    return {column: csv_text(text) for column, text in texts.items()}


def _ends(prefix: str, found: Interval | str) -> dict[str, Any]:
    return {f"{prefix}low": found.low, f"{prefix}high": found.high} if isinstance(found, Interval) else {}
