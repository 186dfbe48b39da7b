"""README's results table, written from the committed rows, never typed.

Values and costs come from the rows; difference, interval and verdict from the table.csv that `report` wrote beside
them, since the per-image files that these need are too large to commit. A table.csv that is older than its rows is
refused.
"""

import csv
import math
from pathlib import Path
from statistics import mean, median

from experiments.errors import SpecError
from experiments.report.comparison import Comparison, compare
from experiments.report.forms.escape import csv_text
from experiments.report.rows import read_run
from experiments.report.tables.table import decimals
from experiments.statistics import BETTER, EQUIVALENT, WORSE
from experiments.tasks import TASKS

__all__ = ["BEGIN", "END", "results_block", "update_readme"]

BEGIN = "<!-- results: written by `python -m experiments readme`, not by hand -->"
END = "<!-- end of results -->"
_COLUMNS = ("Data, split", "Model", "Metric", "Difference [95 %]", "Verdict", "Parameters", "GFLOPs", "Latency, ms")
_DASH = "-"
_KEY = ("name", "dataset", "subset", "model", "baseline")
_NUMBERS = ("mean", "low", "high", "difference", "difference_low", "difference_high", "detectable")
_NEEDED = {*_KEY, *_NUMBERS, "metric", "verdict", "reason", "drawn"}
_Lines = dict[tuple[str, ...], dict[str, str]]  # _KEY -> its line of the headline metric


def update_readme(readme: Path, results: Path, check: bool) -> bool:
    """Put the table between README's two markers; with `check` only look. True when README was up to date.

    Raises SpecError without markers, without rows, or with a table.csv that does not belong to them.
    """
    text = _read(readme)
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SpecError(f"{readme} must hold once, in this order, the lines\n{BEGIN}\n{END}")
    before, rest = text.split(BEGIN)
    fresh = f"{before}{BEGIN}\n\n{results_block(results)}\n{END}{rest.split(END)[1]}"
    if fresh != text and not check:
        readme.write_text(fresh, encoding="utf-8")
    return fresh == text


def results_block(results: Path) -> str:
    """Table and footnotes, of every folder of `results` that holds rows."""
    folders = sorted({path.parents[2] for path in results.glob("*/cells/*/row.json")})
    if not folders:
        raise SpecError(f"{results} holds no results (NAME/cells/*/row.json)")
    comparisons = compare([read_run(folder) for folder in folders])
    runs = " ".join(f"RUNS/{folder.name}" for folder in folders)
    again = f"write it again: python -m experiments report {runs} --out {results} (runs hold what intervals need)"
    found = _judged(results / "table.csv", again)
    lines = [_COLUMNS, (*["---"] * 5, *["--:"] * 3)]
    for comparison in comparisons:
        for part in (comparison, *comparison.subsets):
            for label in part.labels:
                line = found.get(_key(part, label, part.baseline), {})
                if _number(line.get("mean")) != _mean(part, label, part.headline):
                    raise SpecError(
                        f"{results / 'table.csv'} does not belong to the rows ({part.title}: {label}); {again}"
                    )
                lines.append(_line(part, label, line))
    notes = "\n".join(f"- {_note(x)}{_drawn(x, found)}{_controlled(x, found)}" for x in comparisons)
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"{table}\n\n{notes}\n\nLatency: fused, batch 1, median over seeds. Verdict: better or worse when p < 0.05 "
        "after Holm's correction, over images and seeds; [how](docs/comparison.md). Detectable: what would have been "
        "found in 80 % of cases. x: times the baseline's parameters.\n"
    )


def _line(comparison: Comparison, label: str, known: dict[str, str]) -> tuple[str, ...]:
    row, is_base, size = comparison.rows[0], label == comparison.baseline, comparison.size_ratio(label)
    costs = [row["cost"] for row in comparison.of(label) if row["cost"]]
    split = row["method"].get("scored", "")
    data = f"{row['dataset']} {split}, {comparison.subset or str(row['budget']['imgsz']) + ' px'}"
    return (
        data if label == comparison.labels[0] else "",
        f"{label} (baseline)" if is_base else label,
        _metrics(comparison, label, known),
        _DASH if is_base else _difference(known),
        _DASH if is_base else _verdict(comparison, known),
        f"{costs[0]['params'] / 1e6:.2f} M{f' ({size:.2f} x)' if size else ''}" if costs else _DASH,
        f"{costs[0]['flops'] / 1e9:.2f}" if costs else _DASH,
        f"{median(cost['latency_ms'] for cost in costs):.1f}" if costs else _DASH,
    )


def _metrics(comparison: Comparison, label: str, known: dict[str, str]) -> str:
    """With the digits that the interval of the headline metric deserves."""
    digits = decimals(_number(known["low"]), _number(known["high"]))
    values = {name: _mean(comparison, label, metric) for metric, name in comparison.task.names.items()}
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in values.items() if value is not None) or _DASH


def _difference(line: dict[str, str]) -> str:
    apart, low, high = (_number(line[key]) for key in ("difference", "difference_low", "difference_high"))
    if apart is None:
        return _DASH
    digits = decimals(low, high)
    return f"{apart:+.{digits}f}" + ("" if low is None or high is None else f" [{low:+.{digits}f}, {high:+.{digits}f}]")


def _verdict(comparison: Comparison, line: dict[str, str]) -> str:
    """Word, reason and, without a verdict, the difference that would have been found."""
    if comparison.rows[0].get("groups") and line["drawn"] == "images":
        raise SpecError(f"{comparison.title}: its spec names groups, but table.csv was made from images, not photos")
    low, high, unseen = (_number(line[key]) for key in ("difference_low", "difference_high", "detectable"))
    resolved = line["verdict"] in (BETTER, WORSE, EQUIVALENT)
    small = [line["reason"], "" if resolved or unseen is None else f"detectable: {unseen:.{decimals(low, high)}f}"]
    return line["verdict"] + (f" ({'; '.join(filter(None, small))})" if any(small) else "")


def _note(comparison: Comparison) -> str:
    """Budget and machine, which every row of a comparison shares."""
    row, budget = comparison.rows[0], comparison.rows[0]["budget"]
    seeds = sorted({row["seed"] for row in comparison.rows})
    listed = f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"
    start = row["method"].get("start", "")
    timed = next((r["cost"]["latency_protocol"] for r in comparison.rows if r["cost"]), None)
    latency = f"; latency on {timed['device']}, {timed['threads']} thread(s), {timed['imgsz_px']} px" if timed else ""
    return f"{row['dataset']}: {start}, {budget['epochs']} epochs, {listed}, on {budget['device']}{latency}."


def _drawn(comparison: Comparison, found: _Lines) -> str:
    """What intervals rest on, where images are crops of photos."""
    lines = [found.get(_key(comparison, label, comparison.baseline), {}) for label in comparison.labels]
    drawn = dict.fromkeys(line["drawn"] for line in lines if line.get("drawn") and comparison.rows[0].get("groups"))
    return f" Intervals drew {'; '.join(drawn)}." if drawn else ""


def _controlled(comparison: Comparison, found: _Lines) -> str:
    """Of models that have a stock model of their size beside them, how they do against it."""
    lines = {pair: found.get(_key(comparison, *pair), {}) for pair in comparison.controlled}
    parts = [f"{label} {_difference(line)}, {_verdict(comparison, line)}" for (label, _), line in lines.items() if line]
    metric = comparison.task.headline_name
    return f" {metric} against the stock model scaled to its size: {'; '.join(parts)}." if parts else ""


def _judged(path: Path, again: str) -> _Lines:
    if not path.is_file():
        raise SpecError(f"{path} is missing; {again}")
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    if not lines or not _NEEDED <= lines[0].keys():
        raise SpecError(f"{path} is not a table that `report` writes; {again}")
    heads = {task.headline for task in TASKS.values()}
    return {tuple(line[key] for key in _KEY): line for line in lines if line["metric"] in heads}


def _key(comparison: Comparison, label: str, against: str) -> tuple[str, ...]:
    row = comparison.rows[0]
    return tuple(map(csv_text, (row["name"], row["dataset"], comparison.subset or "", label, against)))


def _mean(comparison: Comparison, label: str, metric: str) -> float | None:
    values = comparison.values(label, metric)
    return mean(values.values()) if values else None


def _number(text: str | None) -> float | None:
    value = float(text) if text else math.nan
    return None if math.isnan(value) else value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"cannot read {path}: {error}") from error
