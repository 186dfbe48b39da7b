"""Read what runs left behind: rows, failures, unfinished cells, spec texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.cells.cell import cell_keys
from experiments.cells.record import ROW_SCHEMA, read_json
from experiments.spec.spec import read_spec
from experiments.spec.strict import SpecError, read_at

__all__ = ["Row", "Run", "read_run"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One results folder. `failed` maps a cell to its error, `missing` lists cells without a row."""

    folder: Path
    rows: list[Row]
    failed: dict[str, str]
    missing: list[str]
    spec_text: str | None


def read_run(folder: Path) -> Run:
    """Everything in `folder` (as `run --out` wrote it). Raises SpecError when there is no row, or one is unreadable."""
    rows = [_read_row(path) for path in sorted((folder / "cells").glob("*/row.json"))]
    if not rows:
        raise SpecError(f"{folder} holds no finished cell (cells/*/row.json); run the spec first")
    done = {row["cell"] for row in rows}
    failed = {
        path.parent.name: str(read_json(path)["error"])
        for path in sorted((folder / "cells").glob("*/error.json"))
        if path.parent.name not in done
    }
    spec = folder / "spec.yaml"
    text = spec.read_text(encoding="utf-8") if spec.exists() else None
    missing = []
    if text:
        asked = read_spec(spec)
        order = [model.label for model in asked.models]
        rows = [row | {"name": asked.name, "baseline": order[0]} for row in rows]  # the spec decides, not the cell
        rows.sort(key=lambda row: order.index(row["label"]) if row["label"] in order else len(order))
        with read_at(spec):
            missing = [cell for cell in cell_keys(asked) if cell not in done and cell not in failed]
    return Run(folder, rows, failed, missing, text)


def _read_row(path: Path) -> Row:
    row = read_json(path)
    if not isinstance(row, dict) or row.get("schema") != ROW_SCHEMA:
        raise SpecError(f"{path} is not a row of schema {ROW_SCHEMA}; delete it and run the spec again")
    return row
