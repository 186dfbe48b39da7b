"""docs/results.md, docs/which-block.md and README's table, written from the committed rows, never typed.

Values and costs come from the rows; differences, intervals and verdicts from the per-image files that `keep` commits
beside them. Rows of before that have none: their lines of the table.csv that `report` wrote while they were there. A
table.csv that does not belong to its rows is refused.

README shows at most MOST_ROWS: of each data set the comparison of the longest training, in it the baseline, the model
that is furthest above it and the one furthest below, controls aside; the data sets trained longest come first.
"""

import csv
import io
import math
from pathlib import Path
from statistics import mean, median

from experiments.errors import SpecError
from experiments.report.comparison import Comparison, compare
from experiments.report.forms.escape import csv_text
from experiments.report.forms.table_csv import csv_table
from experiments.report.published.which_block import which_block
from experiments.report.rows import read_run
from experiments.report.tables.table import UNEQUAL, decimals
from experiments.statistics import BETTER, EQUIVALENT, WORSE
from experiments.tasks import TASKS
from yoloplug.files import write_text

MOST_ROWS = 10
BEGIN = "<!-- results: written by `python -m experiments results`, not by hand -->"
END = "<!-- end of results -->"
_COLUMNS = ("Data, split", "Model", "Metric", "Difference [95 %]", "Verdict", "Parameters", "GFLOPs", "Latency, ms")
_DASH = "-"
_KEY = ("name", "dataset", "subset", "model", "baseline")
_NUMBERS = ("mean", "low", "high", "difference", "difference_low", "difference_high", "detectable")
_NEEDED = {*_KEY, *_NUMBERS, "metric", "verdict", "reason", "drawn"}
_FOOT = (
    "Latency: fused, batch 1, median over seeds. Verdict: better or worse when p < 0.05 after Holm's correction, over "
    "images and seeds; [how]({docs}comparison.md). Detectable: what would have been found in 80 % of cases. x: times "
    "the baseline's parameters; unequal: more than a tenth off, so that a difference may be one of size.\n"
)
_PAGE = """\
# What did the comparisons find?

Every comparison that is committed under `experiments/results`, whole. `python -m experiments results` writes this page,
README's table and `experiments/results/table.csv` from the committed rows; CI checks that they agree (`--check`). The
specs are in `experiments/specs`; `python -m experiments run SPEC --only CELL` repeats one row.

"""
_RULE = (
    "Of each data set the comparison trained longest: its baseline, the model furthest above it and the one furthest "
    "below, controls aside. [All of them](docs/results.md).\n\n"
)
_Lines = dict[tuple[str, ...], dict[str, str]]  # _KEY -> its line of the headline metric


def stale_files(results: Path, page: Path, readme: Path, check: bool) -> list[Path]:
    """The files that did not agree with the rows; without `check` they are written.

    Raises SpecError without README's markers, without rows, or with a table.csv that does not belong to them.
    """
    before, after = _around(readme)
    folders = sorted({path.parents[2] for path in results.glob("*/cells/*/row.json")})
    if not folders:
        raise SpecError(f"{results} holds no results (NAME/cells/*/row.json)")
    comparisons = compare([read_run(folder) for folder in folders])
    table = _table(comparisons, results / "table.csv")
    found = _judged(table, comparisons, results / "table.csv")
    notes = "\n".join(f"- {_note(x)}{_drawn(x, found)}{_controlled(x, found)}" for x in comparisons)
    tried = [(x, label, found[_key(x, label, x.baseline)]) for x in comparisons for label in x.labels[1:]]
    every = [part for comparison in comparisons for part in (comparison, *comparison.subsets)]
    whole = _rows([(part, part.labels) for part in every], found)
    short = _rows(_chosen(comparisons), found)
    wanted = {
        results / "table.csv": table,
        page: f"{_PAGE}{whole}\n\n{notes}\n\n{_FOOT.format(docs='')}",
        page.with_name("which-block.md"): which_block(tried),
        readme: f"{before}{BEGIN}\n\n{short}\n\n{_RULE}{_FOOT.format(docs='docs/')}\n{END}{after}",
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in [] if check else stale:
        write_text(path, wanted[path])
    return stale


def _chosen(comparisons: list[Comparison]) -> list[tuple[Comparison, list[str]]]:
    """README's rows, by the rule above."""

    def epochs(comparison: Comparison) -> int:
        return int(comparison.rows[0]["budget"]["epochs"])

    longest: dict[str, Comparison] = {}
    for comparison in sorted(comparisons, key=epochs, reverse=True):
        longest.setdefault(comparison.rows[0]["dataset"], comparison)
    chosen, left = [], MOST_ROWS
    for comparison in longest.values():
        others = [label for label in comparison.labels[1:] if label not in comparison.controls]
        means = {label: _mean(comparison, label, comparison.headline) for label in others}
        order = sorted((label for label, value in means.items() if value is not None), key=lambda x: -(means[x] or 0))
        labels = [comparison.baseline, *dict.fromkeys([*order[:1], *order[-1:]])]
        if len(labels) <= left:
            chosen.append((comparison, labels))
            left -= len(labels)
    return chosen


def _rows(parts: list[tuple[Comparison, list[str]]], found: _Lines) -> str:
    lines = [_COLUMNS, (*["---"] * 5, *["--:"] * 3)]
    for part, labels in parts:
        lines += [_line(part, label, found[_key(part, label, part.baseline)], label == labels[0]) for label in labels]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _table(comparisons: list[Comparison], path: Path) -> str:
    """table.csv: made again of rows with per-image files, as it is of the others."""
    known = {id(comparison) for comparison in comparisons if comparison.has_images}
    fresh = csv_table([comparison for comparison in comparisons if id(comparison) in known])
    old = {(c.rows[0]["name"], c.rows[0]["dataset"]) for c in comparisons if id(c) not in known}
    buffer = io.StringIO()
    columns = next(csv.reader(io.StringIO(fresh)))
    writer = csv.DictWriter(buffer, columns, lineterminator="\n", restval="")
    writer.writerows(line for line in _lines(path) if (line["name"], line["dataset"]) in old) if old else None
    return fresh + buffer.getvalue()


def _lines(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise SpecError(f"{path} is missing, and some rows have no per-image files; {_again(path)}")
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    if not lines or not _NEEDED <= lines[0].keys():
        raise SpecError(f"{path} is not a table that `report` writes; {_again(path)}")
    return lines


def _again(path: Path) -> str:
    return f"commit what `python -m experiments keep RUN --to {path.parent / 'NAME'}` writes"


def _judged(table: str, comparisons: list[Comparison], path: Path) -> _Lines:
    """The headline metric's lines. Raises SpecError where one does not belong to its rows."""
    heads = {task.headline for task in TASKS.values()}
    lines = csv.DictReader(io.StringIO(table))
    found = {tuple(line[key] for key in _KEY): line for line in lines if line["metric"] in heads}
    for comparison in comparisons:
        for part in (comparison, *comparison.subsets):
            for label in part.labels:
                line = found.get(_key(part, label, part.baseline), {})
                if _number(line.get("mean")) != _mean(part, label, part.headline):
                    raise SpecError(f"{path} does not belong to the rows ({part.title}: {label}); {_again(path)}")
    return found


def _around(readme: Path) -> tuple[str, str]:
    """README's text before and after its table."""
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"cannot read {readme}: {error}") from error
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SpecError(f"{readme} must hold once, in this order, the lines\n{BEGIN}\n{END}")
    return text.split(BEGIN)[0], text.split(END)[1]


def _line(comparison: Comparison, label: str, known: dict[str, str], first: bool) -> tuple[str, ...]:
    row, is_base, size = comparison.rows[0], label == comparison.baseline, comparison.size_ratio(label)
    unequal = f" (unequal: {size:.2f} x)" if size and abs(size - 1) > UNEQUAL else f" ({size:.2f} x)" if size else ""
    costs = [row["cost"] for row in comparison.of(label) if row["cost"]]
    split = row["method"].get("scored", "")
    data = f"{row['dataset']} {split}, {comparison.subset or str(row['budget']['imgsz']) + ' px'}"
    return (
        data if first else "",
        f"{label} (baseline)" if is_base else label,
        _metrics(comparison, label, known),
        _DASH if is_base else _difference(known),
        _DASH if is_base else _verdict(comparison, known),
        f"{costs[0]['params'] / 1e6:.2f} M{unequal}" if costs else _DASH,
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
    """Of models that have a control beside them, how they do against it."""
    lines = {pair: found.get(_key(comparison, *pair), {}) for pair in comparison.controlled}
    parts = [
        f"{label} against {control} {_difference(line)}, {_verdict(comparison, line)}"
        for (label, control), line in lines.items()
        if line
    ]
    return f" {comparison.task.headline_name} against controls: {'; '.join(parts)}." if parts else ""


def _key(comparison: Comparison, label: str, against: str) -> tuple[str, ...]:
    row = comparison.rows[0]
    return tuple(map(csv_text, (row["name"], row["dataset"], comparison.subset or "", label, against)))


def _mean(comparison: Comparison, label: str, metric: str) -> float | None:
    values = comparison.values(label, metric)
    return mean(values.values()) if values else None


def _number(text: str | None) -> float | None:
    value = float(text) if text else math.nan
    return None if math.isnan(value) else value
