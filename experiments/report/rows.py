"""Read what runs left behind: rows, failures, unfinished cells, spec texts."""

from dataclasses import dataclass
from pathlib import Path

from experiments.cells.cell import cell_keys
from experiments.cells.record import read_json
from experiments.cells.row import Row, read_row
from experiments.errors import SpecError
from experiments.spec.read import read_spec
from experiments.spec.spec import Spec


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
    rows = [read_row(path) for path in sorted((folder / "cells").glob("*/row.json"))]
    if not rows:
        raise SpecError(f"{folder} holds no finished cell (cells/*/row.json); run the spec first")
    done = {row["cell"] for row in rows}
    failed = {
        path.parent.name: _error(path)
        for path in sorted((folder / "cells").glob("*/error.json"))
        if path.parent.name not in done
    }
    spec = folder / "spec.yaml"
    text, missing = None, []
    if spec.exists():
        file = read_spec(spec)
        asked, text = file.spec, file.document.text
        order = [model.label for model in asked.models]
        origin = folder / "spec.json"
        committed = read_json(origin).get("committed") if origin.exists() else None
        rows = [row | _from_spec(asked, row) | {"committed": committed} for row in rows]
        rows.sort(key=lambda row: order.index(row["label"]) if row["label"] in order else len(order))
        with file.at():
            missing = [cell for cell in cell_keys(asked) if cell not in done and cell not in failed]
    return Run(folder, rows, failed, missing, text)


def _from_spec(spec: Spec, row: Row) -> Row:
    """What the spec decides and not the cell."""
    source = spec.datasets.get(row["dataset"])
    return {
        "name": spec.name,
        "baseline": spec.models[0].label,
        "groups": source.groups if source else None,
        "margin": spec.margin,
        "expect": list(spec.expect),
    }


def _error(path: Path) -> str:
    content = read_json(path)
    return str(content.get("error")) if isinstance(content, dict) else "for a reason that its error.json has lost"
