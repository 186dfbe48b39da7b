"""Scores as a printed table, JSON, CSV and pictures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segplug.atomic import json_writer, write_atomic
from segplug.data import CrackDataset
from segplug.errors import SegplugError
from segplug.metrics import DEFINITIONS
from segplug.worst import WorstImages

__all__ = ["check_out", "score_table", "write_scores"]


def check_out(out: Path | None) -> None:
    """Refuse, before the scoring, a name that is neither a .json file nor a folder."""
    if out is not None and out.suffix != ".json" and (out.suffix in (".csv", ".txt", ".html") or out.is_file()):
        raise SegplugError(f"{out}: neither a .json file nor a folder; name one of them")


def score_table(metrics: dict[str, float]) -> str:
    """A line a metric: name, value, definition."""
    return "\n".join(f"{name:21} {_shown(value):>8}  {DEFINITIONS[name]}" for name, value in metrics.items())


def write_scores(result: dict[str, Any], worst: WorstImages, dataset: CrackDataset, out: Path) -> None:
    """`out` ending in .json: that file. Else a folder: scores.json, metrics.csv, per_image.csv and worst/*.png."""
    if out.suffix == ".json":
        write_atomic(out, json_writer(result))
        return
    metrics = [{"name": n, "value": v, "definition": DEFINITIONS[n]} for n, v in result["metrics"].items()]
    write_atomic(out / "scores.json", json_writer(result))
    write_atomic(out / "metrics.csv", lambda part: _write_csv(part, metrics))
    write_atomic(out / "per_image.csv", lambda part: _write_csv(part, result["per_image"]))
    worst.write(out / "worst", dataset)


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        table = csv.DictWriter(handle, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"
