"""A finished cell as one JSON row: everything that a run writes of it, and a report or README's table reads."""

import re
from pathlib import Path
from typing import Any, TypedDict

from experiments.cells.record import read_json
from experiments.errors import SpecError
from yoloplug.files import write_json

ROW_SCHEMA = 2


class Method(TypedDict, total=False):
    """How a model came about and was measured.

    start: of its weights. chosen_on: the images that chose the epoch, None where the last one is taken; chosen_by: the
    figure that did. epoch: of the weights that were scored, from 1. weights: what else there is to say of them.
    scored: the images that were scored, in few words; split, predictions, metric: in full.
    """

    start: str
    chosen_on: str | None
    chosen_by: str
    epoch: int | None
    weights: str
    checkpoint: str
    scored: str
    split: str
    predictions: str
    metric: str


class Result(TypedDict, total=False):
    """What a trainer finds out. `metrics` is empty where training broke down; `files`: kind -> below the folder.

    matched: the budget that a scaled model was brought to. init: the checkpoint that training started from, and how
    many of the model's parameters are none of it (`fresh` of `params`). best_on_test: what would be printed of the
    epoch that is best on the scored images themselves.
    """

    metrics: dict[str, float | None]
    per_class: dict[str, float | None]
    subsets: dict[str, dict[str, Any]]
    best_on_test: dict[str, Any]
    errors: dict[str, float]
    diverged: bool
    reason: str
    cost: dict[str, Any]
    train: dict[str, Any]
    method: Method
    matched: dict[str, Any]
    init: dict[str, Any]
    files: dict[str, Any]


class Row(Result, total=False):
    """A result with its cell's identity and circumstances; groups to committed: of the spec, for a report."""

    schema: int
    name: str
    cell: str
    label: str
    baseline: str
    task: str
    model: dict[str, Any]
    dataset: str
    dataset_hash: str
    seed: int
    budget: dict[str, Any]
    protocol: dict[str, Any]
    options: dict[str, Any]
    split: dict[str, Any]
    excluded: dict[str, list[str]]
    init_sha256: str
    environment: dict[str, Any]
    cost_environment: dict[str, Any]
    started: str
    finished: str
    groups: str | None
    margin: float | None
    expect: list[str]
    committed: str | None


_KINDS = {name: dict for name in ("model", "budget", "protocol", "metrics", "cost", "train", "method", "files")} | {
    name: str for name in ("name", "cell", "label", "baseline", "task", "dataset", "dataset_hash")
}


def read_row(path: Path) -> Row:
    """Rows of schema 1 too. Raises SpecError on a file that is cut, damaged or none of ours."""
    row: Any = read_json(path)
    schema = row.get("schema") if isinstance(row, dict) else None
    if schema not in (1, ROW_SCHEMA):
        raise SpecError(f"{path} is not a row of schema {ROW_SCHEMA}; delete it and run the spec again")
    wrong = [name for name, kind in _KINDS.items() if not isinstance(row.get(name), kind)]
    if wrong or not isinstance(row.get("seed"), int):
        raise SpecError(f"{path} lacks {', '.join(wrong) or 'seed'}; delete it and run the spec again")
    return _from_schema_1(row) if schema == 1 else row


def write_row(path: Path, row: Row) -> None:
    write_json(path, row, indent=1, allow_nan=False)


def weights_text(method: Method, epochs: str) -> str:
    """Which weights were scored, in words; `epochs` are named."""
    if "start" not in method:
        return method.get("weights", "")
    chosen = f"best {method.get('chosen_by')} on {method['chosen_on']}" if method.get("chosen_on") else "last epoch"
    parts = [method["start"], f"{chosen} (epoch {epochs})" if epochs else chosen, method.get("weights", "")]
    return "; ".join(part for part in parts if part)


_SCHEMA_1 = re.compile(
    r"(?P<start>.*?)[;,] (?:best (?P<by>.*?) on (?P<on>.*?)|last epoch)"
    r"(?: \(epoch (?P<epoch>\d+)\);| \()(?P<rest>.*?)\)?$"
)


def _from_schema_1(row: dict[str, Any]) -> Row:
    """These facts were words of one sentence."""
    method = dict(row["method"])
    if found := _SCHEMA_1.match(method.get("weights", "")):
        epoch = int(found["epoch"]) if found["epoch"] else row["train"].get("epochs")
        method |= {"start": found["start"], "chosen_on": found["on"], "chosen_by": found["by"] or "", "epoch": epoch}
        method["weights"] = found["rest"].strip()
    method["scored"] = method.get("split", "").partition(",")[0]
    return Row(**(row | {"schema": ROW_SCHEMA, "method": method}))  # type: ignore[typeddict-item]
