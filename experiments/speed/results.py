"""Measured times as files: `experiments/results/speed/*.json`, and the tables that docs/speed.md makes of them."""

from __future__ import annotations

import json
import math
import platform
import statistics
from collections.abc import Callable, Collection, Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import yoloplug
from experiments.cells.record import environment
from yoloplug import BLOCKS
from yoloplug.cost.machine import cpu_name
from yoloplug.files import write_text

Row = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
RESULTS, PAGE = ROOT / "experiments/results/speed", ROOT / "docs/speed.md"


def record(name: str, rows: list[Row], key: Callable[[Row], Any]) -> None:
    """Write NAME.json, keeping the rows of earlier runs whose `key` none of these has, and the page's tables."""
    file = RESULTS / f"{name}.json"
    kept = json.loads(file.read_text("utf-8")) if file.exists() else {"runs": [], "rows": []}
    run = {
        "device": cpu_name(),
        "threads": torch.get_num_threads(),
        "date": date.today().isoformat(),
        "yoloplug": yoloplug.__version__,
        "torch": torch.__version__,
        "ultralytics": version("ultralytics"),
        "python": platform.python_version(),
        "commit": environment()["commit"][:7],
    }
    runs = kept["runs"] + [run] * (run not in kept["runs"])
    fresh = {key(row) for row in rows}
    merged = [row for row in kept["rows"] if key(row) not in fresh] + [{**row, "run": runs.index(run)} for row in rows]
    used = sorted({row["run"] for row in merged})
    runs, merged = [runs[k] for k in used], [{**row, "run": used.index(row["run"])} for row in merged]
    lines = ",\n".join(json.dumps(row) for row in sorted(merged, key=lambda row: str(key(row))))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, f'{{"runs": {json.dumps(runs)},\n"rows": [\n{lines}\n]}}\n')
    write_page()


def write_page() -> None:
    """Fill each pair of marks `<!-- NAME -->`, `<!-- end -->` of docs/speed.md with the table of NAME.json."""
    text = PAGE.read_text("utf-8")
    for name, table in TABLES.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            known = json.loads(file.read_text("utf-8"))
            filled = "\n".join(["", *table(known["rows"]), "", *_conditions(known["runs"]), "", ""])
            before, rest = text.split(f"<!-- {name} -->\n")
            text = f"{before}<!-- {name} -->\n{filled}{rest[rest.index('<!-- end -->') :]}"
    write_text(PAGE, text)


def _conditions(runs: list[Row]) -> list[str]:
    return [
        f"{run['device']}, {run['threads']} thread{'s' * (run['threads'] > 1)}, torch {run['torch']}, "
        f"ultralytics {run['ultralytics']}, Python {run['python']}, {run['date']}, "
        f"commit {run.get('commit', 'not recorded')}."
        for run in runs
    ]


def _mean(values: Iterable[float]) -> float:
    """Geometric."""
    return statistics.geometric_mean(list(values))


def _overall(names: list[str], of_all: dict[str, list[float]], chosen: Collection[str]) -> str:
    """Each mode's geometric mean over the chosen ones of the names."""
    places = [place for place, name in enumerate(names) if name in chosen]
    return ", ".join(f"{mode} **{_mean(means[k] for k in places):.2f}**" for mode, means in of_all.items())


def blocks_table(rows: list[Row]) -> list[str]:
    """One line a block: ratios to its formulation over shapes and layouts, to a plain Conv at 64 channels in NCHW."""
    lines = [
        "| block | forward / formulation | forward + backward | memory | forward / Conv | forward + backward |",
        "|---|---|---|---|---|---|",
    ]
    names = sorted({row["block"] for row in rows}, key=str.lower)
    of_all: dict[str, list[float]] = {"forward": [], "forward + backward": []}
    slower = []
    for name in names:
        cells, own = [name], [row for row in rows if row["block"] == name]
        for mode, means in of_all.items():
            ratios = [row["of_formulation"] for row in own if row["mode"] == mode]
            means.append(_mean(ratios))
            cells.append(f"{means[-1]:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
            slower += [f"{name} ({mode}, {means[-1]:.2f})"] if means[-1] > 1.05 else []
        training = [row for row in own if row["mode"] == "forward + backward"]
        cells.append(f"{max(row['block_mib'] / row['formulation_mib'] for row in training):.2f}")
        for mode in of_all:
            cells += [
                f"{row['of_conv']:.2f}" for row in own if (row["c"], row["layout"], row["mode"]) == (64, "NCHW", mode)
            ]
        lines.append(f"| {' | '.join(cells)} |")
    same = [name for name in names if all(row["same"] for row in rows if row["block"] == name)]
    lines += [
        "",
        f"Geometric mean of {len(names)} blocks against their formulations: {_overall(names, of_all, names)}.",
    ]
    if 0 < len(same) < len(names):
        lines.append(
            f"Without kernels {len(same)} of them are their formulation, operation by operation ({', '.join(same)}): "
            f"{_overall(names, of_all, same)}; the other {len(names) - len(same)}: "
            f"{_overall(names, of_all, set(names) - set(same))}."
        )
    apart: dict[str, list[float]] = {name: [] for name in names}
    for row in rows:
        lower, upper = row["of_formulation_middle"]
        apart[row["block"]].append(upper / lower - 1)
    usual = statistics.median(value for values in apart.values() for value in values)
    wide = [name for name in names if statistics.median(apart[name]) > 0.2]
    lines.append(
        f"The middle half of a case's rounds is {usual:.0%} wide in the median; above 20 % in most cases of "
        f"{', '.join(wide) or 'no block'}."
    )
    lines.append(f"More than 5 % slower than its formulation: {', '.join(slower) or 'none'}.")
    missing = sorted(set(BLOCKS) - set(names), key=str.lower)
    lines += [f"Not measured yet: {', '.join(missing)}."] if missing else []
    return lines


def segmentation_table(rows: list[Row]) -> list[str]:
    """A line a question: the ratio, its target, what else was measured."""
    about = {
        "training": ("images/s of a bare loop's", "0.95", "{images_s} images/s"),
        "thresholds": (
            "times as fast as the loop of the literature",
            "100",
            "{lean_ratio} times a loop of boolean counts",
        ),
        "memory": (
            "times as fast with freed memory kept",
            "1.2",
            "{default_s} s and {kept_s} s of CPU time",
        ),
        "raster": (
            "network's share of the time",
            "0.90",
            "{mib_above_the_network} MiB above the network, {mpx_s} Mpx/s",
        ),
    }
    lines = ["| question | on | measured | wanted | besides | load |", "|---|---|---|---|---|---|"]
    for row in rows:
        name, wanted, besides = about[row["question"]]
        cells = (
            name,
            row["what"],
            f"**{row['ratio']}**",
            f"at least {wanted}",
            besides.format(**row),
            str(row["load"]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def coco_ap_table(rows: list[Row]) -> list[str]:
    """A line a size: CPU seconds of a cell, and what seven models on three seeds take on two cores."""
    lines = ["| images | samples | matching, s | all metrics on the samples, s | 21 cells on two cores, s | load |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        total = 21 * (row["matching_s"] + row["draws_s"]) / 2
        cells = row["images"], row["draws"], row["matching_s"], row["draws_s"], f"**{total:.0f}**", row["load"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def models_table(rows: list[Row]) -> list[str]:
    """The three comparisons of experiments/speed/models.py."""
    lines = []
    for table, key, other in (
        ("bf16", "bf16", "float32"),
        ("fused", "block", "stock"),
        ("bridge", "with", "without"),
    ):
        lines += ["", f"| model | {key}, ms | {other}, ms | ratio |", "|---|---|---|---|"]
        own = [row for row in rows if row["table"] == table]
        lines += [f"| {row['model']} | {row[f'{key}_ms']} | {row[f'{other}_ms']} | {row['ratio']} |" for row in own]
    return lines[1:]


def growth_table(rows: list[Row]) -> list[str]:
    """One sentence a plot; the exponent over all sizes and between the last two."""
    lines = []
    for row in rows:
        (*_, size, largest), (*_, ms, most) = row["sizes"], row["ms"]
        last = math.log(most / ms) / math.log(largest / size)
        measured = f"exponent {row['exponent']:.2f}, {last:.2f} at the end; it should be {row['expected']}"
        lines.append(f"- **{row['what']}** ({row['sizes'][0]} to {largest}): {measured}: {row['why']}.")
    return lines


def kernels_table(rows: list[Row]) -> list[str]:
    """One line a case and mode: with kernels over without them and over a Conv, the kernels' share, and the target."""
    lines = ["| | | / torch | / Conv | ms (least) | in C | target |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        conv = f"{row['of_conv']:.2f}" if "of_conv" in row else ""
        reached = ""
        if row["target"] is not None:
            limit, unit = row["target"]
            value = {"of a Conv": row.get("of_conv"), "of torch": row["of_torch"], "s": row["kernels_ms"] / 1e3}[unit]
            reached = f"{limit} {unit}: {'met' if value <= limit else 'not met'}"
        spent = f"{row['kernels_ms']:.0f} ({row['kernels_least_ms']:.0f})"
        cells = row["case"], row["mode"], f"{row['of_torch']:.2f}", conv, spent, f"{row['share']:.0%}", reached
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def startup_table(rows: list[Row]) -> list[str]:
    lines = ["| command | CPU time, s | at most |", "|---|---|---|"]
    return lines + [f"| `{row['command']}` | {row['cpu_s']:.2f} | {row['wanted_s']} |" for row in rows]


TABLES: dict[str, Callable[[list[Row]], list[str]]] = {
    "blocks": blocks_table,
    "models": models_table,
    "growth": growth_table,
    "kernels": kernels_table,
    "segmentation": segmentation_table,
    "coco_ap": coco_ap_table,
    "startup": startup_table,
}
"""Name of a result file -> the lines of its table."""
