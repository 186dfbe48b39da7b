"""A run before it starts: the spec's cells, checked for everything that can be wrong before time is spent."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from experiments.cells.cell import Cell, cells, locate
from experiments.cells.ledger import State, read_state
from experiments.cells.record import read_json
from experiments.spec.spec import Engine, Spec, read_spec
from experiments.spec.strict import SpecError, nearest, read_at
from experiments.trainers import task_module

__all__ = ["Plan", "plan"]


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
        from experiments.trainers.yolo.loggers import check_loggers

        check_loggers(spec.loggers)
    return Plan(spec, todo, hashes, out)


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
