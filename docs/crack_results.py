"""Tables of docs/crack-results.md and docs/crack-model.md from finished comparisons and `segplug eval` folders.

python docs/crack_results.py RUN … EVALUATIONS …
    RUN/cells/*/row.json, as `python -m experiments run` wrote; EVALUATIONS/<set>/<model>-s<seed>/scores.json
    Their figures replace those of the same set, model and seed in docs/crack_scores.csv; all others stay.
python docs/crack_results.py --check    # the pages' tables are those of docs/crack_scores.csv
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from statistics import mean, stdev

from yoloplug.files import read_csv, write_csv

DOCS = Path(__file__).parent
SCORES, PAGE, SHIPPED_PAGE = DOCS / "crack_scores.csv", DOCS / "crack-results.md", DOCS / "crack-model.md"
# Metric -> its head in the tables: segplug's definitions, and SCSegamba's protocol.
OWN = {
    "iou_crack": "crack IoU",
    "miou": "mIoU",
    "ods_f1": "ODS",
    "ois_f1": "OIS",
    "f1": "F1",
    "f1_tol2px": "F1@2px",
    "cldice": "clDice",
}
PROTOCOL = {
    "scs_compat_f1": "F1",
    "scs_compat_miou": "mIoU",
    "scs_compat_ods": "ODS",
    "scs_compat_ois": "OIS",
    "scs_compat_precision": "precision",
    "scs_compat_recall": "recall",
}
ALARMS = {"false_alarm_share": "false alarms", "false_line_px": "false lines, px a photo"}
"""Absent from rows of before they were counted."""
SHIPPED = {"cracks-drawn"}
LOOKED_AT = " less those looked at"
"""Of a set that `segplug eval --exclude` scored without the photos that chose a setting."""
ON_TEST = " (epoch best on test, as published)"
TO_BEAT = {"scs_compat_f1": 0.911, "scs_compat_miou": 0.902}  # SCSegamba on DeepCrack, as its authors print it
BEGIN, END = "<!-- begin: {} -->", "<!-- end: {} -->"

Row = dict[str, str]


def collect(folder: Path) -> list[Row]:
    """One row for each set, model, seed and metric."""
    rows: list[Row] = []
    for path in sorted((folder / "cells").glob("*/row.json")):
        row = json.loads(path.read_text(encoding="utf-8"))
        parts = {row["dataset"]: row["metrics"]} | {
            f"{row['dataset']}-{k}": v["metrics"] for k, v in row["subsets"].items()
        }
        for name, metrics in parts.items():
            rows += _rows(name, row["label"], row["seed"], metrics)
        if "best_on_test" in row:
            rows += _rows(row["dataset"], f"{row['label']}{ON_TEST}", row["seed"], row["best_on_test"]["metrics"])
    for path in sorted(folder.glob("*/*/scores.json")):
        found = re.fullmatch(r"(.+)-s(\d+)", path.parent.name)
        if not found:
            raise SystemExit(f"{path.parent}: name it <model>-s<seed>")
        scores, name = json.loads(path.read_text(encoding="utf-8")), path.parent.parent.name
        rows += _rows(name, found[1], int(found[2]), scores["metrics"])
        if "without" in scores:
            rows += _rows(f"{name}{LOOKED_AT}", found[1], int(found[2]), scores["without"]["metrics"])
    return rows


def _rows(name: str, model: str, seed: int, metrics: dict[str, float]) -> list[Row]:
    shared = {"set": name, "model": model, "seed": str(seed)}
    kept = [metric for metric in {**OWN, **PROTOCOL, **ALARMS} if metric in metrics or metric not in ALARMS]
    return [{**shared, "metric": metric, "value": f"{metrics[metric]:.6g}"} for metric in kept]


def merged(old: list[Row], new: list[Row]) -> list[Row]:
    """Old rows but those of a set, model and seed that are new, then the new; sets and models stay together."""
    keys = {(row["set"], row["model"], row["seed"]) for row in new}
    rows = [row for row in old if (row["set"], row["model"], row["seed"]) not in keys] + new
    sets = list(dict.fromkeys(row["set"] for row in rows))
    return sorted(rows, key=lambda row: sets.index(row["set"]))


def shipped_tables(rows: list[Row]) -> dict[str, str]:
    """Mark -> Markdown: a line for each set, for each model that comes with the package."""
    found = {}
    columns = {**OWN, **ALARMS}
    for model in sorted(SHIPPED):
        mine = [row for row in rows if row["model"] == model]
        lines = [["Photos", *columns.values()], ["---", *["--:"] * len(columns)]]
        for name in dict.fromkeys(row["set"] for row in mine):
            values = {row["metric"]: float(row["value"]) for row in mine if row["set"] == name}
            lines.append([name, *(_shipped_cell(metric, values.get(metric)) for metric in columns)])
        found[model] = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return found


def tables(rows: list[Row]) -> dict[str, str]:
    """Mark -> Markdown: for each set one table of segplug's definitions and one of SCSegamba's protocol.

    Models that come with the package have a page of their own.
    """
    rows = [row for row in rows if row["model"] not in SHIPPED]
    found = {}
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        found[name] = _table(mine, OWN)
        found[f"{name} protocol"] = _table(mine, PROTOCOL)
        if name == "deepcrack":
            found["distance"] = _distance(mine)
    return found


def _shipped_cell(metric: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if metric == "false_line_px" else f"{value:.3f}".lstrip("0")


def _table(rows: list[Row], metrics: dict[str, str]) -> str:
    """A line a model: mean and standard deviation over its seeds."""
    lines = [["Model", "Seeds", *metrics.values()], ["---", "---", *["--:"] * len(metrics)]]
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        seeds = sorted({row["seed"] for row in mine}, key=int)
        lines.append([model, ", ".join(seeds), *(_cell(mine, metric) for metric in metrics)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(rows: list[Row], metric: str) -> str:
    values = [float(row["value"]) for row in rows if row["metric"] == metric]
    text = f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")
    return text.replace("0.", ".")


def _distance(rows: list[Row]) -> str:
    lines = []
    for model in dict.fromkeys(row["model"] for row in rows if not row["model"].endswith(ON_TEST)):
        parts = []
        for metric, goal in TO_BEAT.items():
            value = mean(float(r["value"]) for r in rows if r["model"] == model and r["metric"] == metric)
            parts.append(f"{PROTOCOL[metric]} {value:.3f} ({value - goal:+.3f} to {goal})".replace("0.", "."))
        lines.append(f"- {model}: " + ", ".join(parts))
    return "\n".join(lines)


def page(path: Path, found: dict[str, str]) -> str:
    """The page with each marked part replaced."""
    text = path.read_text(encoding="utf-8")
    for name, content in found.items():
        begin, end = BEGIN.format(name), END.format(name)
        if begin not in text or end not in text:
            raise SystemExit(f"{path}: no marks {begin} … {end}")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{content}\n{end}{rest.split(end)[1]}"
    return text


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Tables of docs/crack-results.md from `segplug eval` folders.")
    parser.add_argument("folders", type=Path, nargs="*", help="runs, and folders of <set>/<model>-s<seed>/scores.json")
    parser.add_argument("--check", action="store_true", help="exit 1 when the page differs from docs/crack_scores.csv")
    given = parser.parse_args(argv)
    if given.folders:
        rows = merged(_read(), [row for folder in given.folders for row in collect(folder)])
        write_csv(SCORES, list(rows[0]), rows)
    rows = _read()
    pages = {PAGE: page(PAGE, tables(rows)), SHIPPED_PAGE: page(SHIPPED_PAGE, shipped_tables(rows))}
    if given.check:
        return int(any(path.read_text(encoding="utf-8") != wanted for path, wanted in pages.items()))
    for path, wanted in pages.items():
        path.write_text(wanted, encoding="utf-8")
    return 0


def _read() -> list[Row]:
    return read_csv(SCORES) if SCORES.exists() else []


if __name__ == "__main__":
    sys.exit(main())
