"""Run a spec: every cell once, each in its own folder, finished ones never again."""

import importlib
import json
import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from experiments.record import environment, write_json
from experiments.spec import Cell, Spec, cells, read_spec
from experiments.strict import SpecError

__all__ = ["ROW_SCHEMA", "Plan", "plan", "run", "task_module"]

ROW_SCHEMA = 1


@dataclass(frozen=True)
class Plan:
    """A checked spec: its cells, and the content hash of each dataset."""

    spec: Spec
    cells: list[Cell]
    hashes: dict[str, str]


def plan(spec_path: Path, data_root: Path, out: Path) -> Plan:
    """Read and check everything that can be wrong before time is spent. Raises SpecError."""
    spec = read_spec(spec_path)
    task = task_module(spec.task)
    todo = cells(spec, data_root, out)
    task.check_options(spec.train)
    for model in spec.models:
        task.check_model(model)
    if spec.budget.device != "cpu" and not torch.cuda.is_available():
        raise SpecError(f"budget.device is {spec.budget.device!r}, but torch sees no CUDA device; write `device: cpu`")
    hashes = {cell.dataset: task.check_data(cell.data) for cell in {c.dataset: c for c in todo}.values()}
    for cell in todo:
        _refuse_other_run(cell, hashes[cell.dataset])
    return Plan(spec, todo, hashes)


def run(spec_path: Path, data_root: Path, out: Path, say: Callable[[str], None] = print) -> int:
    """Run what is missing; the number of cells that failed. A failed cell leaves `error.json`, the others go on."""
    checked = plan(spec_path, data_root, out)
    out.mkdir(parents=True, exist_ok=True)
    if spec_path.resolve() != (out / "spec.yaml").resolve():
        shutil.copyfile(spec_path, out / "spec.yaml")
    failed = 0
    for number, cell in enumerate(checked.cells, start=1):
        head = f"[{number}/{len(checked.cells)}] {cell.key}"
        if (cell.folder / "row.json").exists():
            say(f"{head}: finished before, kept")
            continue
        say(f"{head}: starts")
        failed += not _attempt(cell, checked.hashes[cell.dataset], say)
    return failed


def _attempt(cell: Cell, dataset_hash: str, say: Callable[[str], None]) -> bool:
    cell.folder.mkdir(parents=True, exist_ok=True)
    identity = cell.identity(dataset_hash)
    write_json(cell.folder / "cell.json", identity)
    error_file = cell.folder / "error.json"
    error_file.unlink(missing_ok=True)
    start = environment()
    torch.set_num_threads(cell.spec.budget.threads)
    try:
        result = task_module(cell.spec.task).run_cell(cell)
        row = {
            "schema": ROW_SCHEMA,
            "name": cell.spec.name,
            "cell": cell.key,
            "label": cell.model.label,
            "baseline": cell.spec.models[0].label,
            **identity,
            "environment": {**start, "device": cell.spec.budget.device, "threads": cell.spec.budget.threads},
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            **result,
        }
        write_json(cell.folder / "row.json", row)
    except Exception as error:  # whatever a model does, the other cells of the night still run
        text = traceback.format_exc()
        write_json(error_file, {"cell": cell.key, "error": f"{type(error).__name__}: {error}", "traceback": text})
        say(f"{cell.key}: FAILED, {type(error).__name__}: {error}\n  traceback in {error_file}")
        return False
    shown = {k: v for k, v in row["metrics"].items() if v is not None}
    say(f"{cell.key}: " + (", ".join(f"{k} {v:.4f}" for k, v in shown.items()) or "diverged to NaN"))
    return True


def _refuse_other_run(cell: Cell, dataset_hash: str) -> None:
    """A folder that holds another run's cell is neither reused nor overwritten."""
    path = cell.folder / "cell.json"
    if not path.exists():
        return
    there, now = json.loads(path.read_text(encoding="utf-8")), cell.identity(dataset_hash)
    changed = [f"{key}: {there.get(key)!r} -> {now[key]!r}" for key in now if there.get(key) != now[key]]
    if changed:
        raise SpecError(f"{cell.folder} holds a different run ({'; '.join(changed)}); give another --out or delete it")


def task_module(name: str) -> Any:
    """A task as check_model, check_data, check_options, run_cell, measure_cost; only that side is imported."""
    return importlib.import_module({"detect": "experiments.detect", "segment": "experiments.segment"}[name])
