"""Run a spec: every cell once, each in its own folder, finished ones never again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from experiments.cell import Cell, cells, locate
from experiments.ledger import ENDED, State, read_state
from experiments.record import read_json, write_text
from experiments.spec import Engine, Spec, read_spec
from experiments.storage import is_full, storage_full
from experiments.strict import SpecError, nearest, read_at
from experiments.tasks import TASKS, task_module

__all__ = ["ROW_SCHEMA", "Plan", "plan", "run"]

ROW_SCHEMA = 1


@dataclass(frozen=True)
class Plan:
    """A checked spec: its cells, and the content hash of each dataset."""

    spec: Spec
    cells: list[Cell]
    hashes: dict[str, str]
    out: Path

    @property
    def states(self) -> list[State]:
        return [read_state(cell.folder, self.spec.budget.epochs) for cell in self.cells]


def plan(
    spec_path: Path, data_root: Path, out: Path, engine: Engine | None = None, loggers: tuple[str, ...] = ()
) -> Plan:
    """Read and check everything that can be wrong before time is spent. Raises SpecError.

    `engine` and `loggers` take the place of the spec's own where given.
    """
    spec = read_spec(spec_path)
    spec = replace(spec, engine=engine or spec.engine, loggers=loggers or spec.loggers)
    task = task_module(spec.task)
    with read_at(spec_path):
        todo = cells(spec, data_root, out)
        task.check_options(spec.train)
        _check_device(spec)
    for index, model in enumerate(spec.models):
        with read_at(spec_path, "models", index):
            task.check_model(model)
    hashes = {}
    for name, cell in {cell.dataset: cell for cell in todo}.items():
        with read_at(spec_path, "datasets", name):
            hashes[name] = task.check_data(cell)
    todo = _with_subsets(todo, spec_path, data_root)
    for cell in todo:
        _refuse_other_run(cell, hashes[cell.dataset])
        if not (cell.folder / "row.json").exists():
            with read_at(spec_path, "models", spec.models.index(cell.model)):
                task.check_cell(cell)
    if spec.loggers:
        from experiments.loggers import check_loggers

        check_loggers(spec.loggers)
    return Plan(spec, todo, hashes, out)


def run(
    spec_path: Path,
    data_root: Path,
    out: Path,
    say: Callable[[str], None] | None = None,
    engine: Engine | None = None,
    loggers: tuple[str, ...] = (),
    retry_failed: bool = False,
) -> int:
    """Run what is missing; the number of cells that failed. A failed cell leaves `error.json`, the others go on.

    Cells that failed in an earlier run are left alone unless `retry_failed`. Without `say`, a live table on a terminal
    and plain lines elsewhere. Raises SpecError; StorageFull when there is no room for more results.
    """
    from experiments.engines import run_jobs
    from experiments.live import watching
    from experiments.work import Job

    checked = plan(spec_path, data_root, out, engine, loggers)
    try:
        out.mkdir(parents=True, exist_ok=True)
        text = spec_path.read_text(encoding="utf-8")
        if not (out / "spec.yaml").exists() or (out / "spec.yaml").read_text(encoding="utf-8") != text:
            write_text(out / "spec.yaml", text)
    except OSError as error:
        if is_full(error):
            raise storage_full(out, error) from error
        raise SpecError(f"cannot write to {out}: {error}; give another --out") from error
    skipped = ("done", "diverged") if retry_failed else ENDED
    jobs = [
        Job(cell, checked.hashes[cell.dataset], TASKS[checked.spec.task], _error_text(cell) if retry_failed else None)
        for cell, state in zip(checked.cells, checked.states, strict=True)
        if state.phase not in skipped
    ]
    with watching(checked, say):
        run_jobs(jobs, checked.spec.engine)
    return sum(state.phase == "failed" for state in checked.states)


def _with_subsets(todo: list[Cell], spec_path: Path, data_root: Path) -> list[Cell]:
    """Each cell with the names of the images that the spec's subsets leave out: it needs no list file any more."""
    spec = todo[0].spec
    one_each = {cell.dataset: cell for cell in todo}
    excluded: dict[str, dict[str, list[str]]] = {dataset: {} for dataset in one_each}
    for name, subset in spec.subsets.items():
        with read_at(spec_path, "subsets", name):
            listed = locate(f"subsets.{name}", subset.exclude, data_root)
            for dataset, cell in one_each.items():
                if subset.dataset in (None, dataset):
                    excluded[dataset][name] = task_module(spec.task).listed_images(cell, listed)
    return [replace(cell, excluded=excluded[cell.dataset]) for cell in todo]


def _check_device(spec: Spec) -> None:
    """A cell runs on one device: the CPU, or a GPU by its number among those that it will see."""
    device, engine = spec.budget.device, spec.engine
    if engine.name == "ray":  # the GPUs are elsewhere; a cell sees its own
        if device == "cpu" and engine.gpus:
            raise SpecError(
                f"engine.gpus: {engine.gpus} of a GPU would idle, for budget.device is cpu; write device: 0"
            )
        if device != "cpu" and engine.gpus == 0:
            raise SpecError(f"engine.gpus: 0, but budget.device is {device!r}; give a share such as 0.5")
        seen = max(1, int(engine.gpus or 1))
    else:
        seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if device != "cpu" and not seen:
            raise SpecError(f"budget.device: {device!r}, but torch sees no CUDA device; write `device: cpu`")
    valid = ["cpu", *(str(number) for number in range(seen))]
    if device != "cuda" and device.removeprefix("cuda:") not in valid:
        raise SpecError(f"budget.device: {device!r} is no device that a cell could run on{nearest(device, valid)}")


def _error_text(cell: Cell) -> str | None:
    path = cell.folder / "error.json"
    return path.read_text(encoding="utf-8") if path.exists() else None


def _refuse_other_run(cell: Cell, dataset_hash: str) -> None:
    """A folder that holds another run's cell is neither reused nor overwritten; a row alone says whose it is."""
    path = next((p for name in ("cell.json", "row.json") if (p := cell.folder / name).exists()), None)
    if path is None:
        return
    there, now = read_json(path), cell.identity(dataset_hash)
    changed = [f"{key}: {there.get(key)!r} -> {now[key]!r}" for key in now if _said(there.get(key)) != _said(now[key])]
    if changed:
        raise SpecError(f"{cell.folder} holds a different run ({'; '.join(changed)}); give another --out or delete it")


def _said(value: object) -> object:
    """Without keys that are None, which say nothing: specs gain keys, and folders outlive that."""
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value
