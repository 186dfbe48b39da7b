"""A run before it starts: the spec's cells, checked for everything that can be wrong before time is spent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import torch

from experiments.cells.cell import Cell, Checkpoint, Data, cell_keys
from experiments.cells.ledger import State, read_state
from experiments.cells.record import commit_time, hash_files, read_json
from experiments.errors import SpecError
from experiments.spec.budget import Engine
from experiments.spec.photos import photos_by_list, photos_by_rule
from experiments.spec.read import SpecFile, read_spec
from experiments.spec.spec import Spec
from experiments.trainers import trainer_at, trainer_name
from yoloplug.names import choices


@dataclass(frozen=True)
class Plan:
    """A checked spec: its text, when that was committed, and its cells or those of them that were asked for."""

    spec: Spec
    text: str
    committed: str | None
    cells: list[Cell]
    out: Path

    @property
    def states(self) -> list[State]:
        return [read_state(cell.folder, self.spec.budget.epochs) for cell in self.cells]


def plan(
    spec: SpecFile | Path,
    data_root: Path,
    out: Path,
    engine: Engine | None = None,
    loggers: tuple[str, ...] = (),
    only: Sequence[str] = (),
) -> Plan:
    """Read and check everything that can be wrong before time is spent. Raises SpecError.

    `engine` and `loggers` take the place of the spec's own where given. `only`: cells by name or pattern (*, ?).
    """
    file = spec if isinstance(spec, SpecFile) else read_spec(spec)
    asked = replace(file.spec, engine=engine or file.spec.engine, loggers=loggers or file.spec.loggers)
    with file.at():
        keys = _chosen(list(every := cell_keys(asked)), only)
        _check_device(asked)
    wanted = {key: every[key] for key in keys}
    started: dict[str, Checkpoint] = {}
    for index, model in enumerate(asked.models):
        if any(model is chosen for chosen, _, _ in wanted.values()):
            with file.at("models", index):
                trainer_at(trainer_name(asked.task, model)).check_model(model)
            if model.init is not None:
                with file.at("models", index, "init"):
                    path = _found(model.init, data_root)
                    started[model.label] = Checkpoint(path, hash_files([path]))
    trainer = trainer_at(trainer_name(asked.task, asked.models[0]))
    with file.at("train"):
        trainer.check_options(asked.train, data_root)
    if asked.loggers:
        from experiments.trainers.yolo.loggers import check_loggers

        with file.at("loggers"):
            check_loggers(asked.loggers)
    data: dict[str, tuple[Data, str]] = {}
    for name in dict.fromkeys(dataset for _, dataset, _ in wanted.values()):
        with file.at("datasets", name):
            path = _found(asked.datasets[name].path, data_root)
            opened = trainer.open_data(path, asked.datasets[name], asked.train, data_root)
            if not all((_folder(out, key) / "row.json").exists() for key, cell in wanted.items() if cell[1] == name):
                opened.check()
            data[name] = opened, opened.content_hash()
    excluded = _excluded(file, {name: opened for name, (opened, _) in data.items()}, data_root)
    photos = {name: _photos(file, name, opened, data_root) for name, (opened, _) in data.items()}
    cells = [
        Cell(
            asked,
            model,
            name,
            *data[name],
            seed,
            _folder(out, key),
            excluded[name],
            photos[name],
            started.get(model.label),
        )
        for key, (model, name, seed) in wanted.items()
    ]
    for cell in cells:
        _refuse_other_run(cell)
        if not (cell.folder / "row.json").exists():
            with file.at("models", asked.models.index(cell.model)):
                trainer_at(trainer_name(asked.task, cell.model)).check_cell(cell)
    return Plan(asked, file.document.text, commit_time(file.document.path), cells, out)


def _chosen(keys: list[str], only: Sequence[str]) -> list[str]:
    """The cells that a pattern fits. Raises SpecError on a pattern that fits none."""
    for pattern in only:
        if not any(fnmatchcase(key, pattern) for key in keys):
            raise SpecError(f"--only {pattern}: no such cell{choices(pattern, keys)}")
    return [key for key in keys if not only or any(fnmatchcase(key, pattern) for pattern in only)]


def _folder(out: Path, key: str) -> Path:
    return (out / "cells" / key).resolve()


def _found(path: str, data_root: Path) -> Path:
    """A file or folder of the spec. Raises SpecError when it is not there."""
    try:
        found = (data_root / path).expanduser().resolve()
        exists = found.exists()
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a NUL, a home that is none
        raise SpecError(f"{path[:80]!r} is no path ({error})") from error
    if not exists:
        siblings = [p.name for p in found.parent.iterdir()] if found.parent.is_dir() else []
        raise SpecError(
            f"{found} does not exist{choices(found.name, siblings) if siblings else ''}"
            "\nRelative paths are read from --data-root (default: the current directory)."
        )
    return found


def _excluded(file: SpecFile, opened: dict[str, Data], data_root: Path) -> dict[str, dict[str, list[str]]]:
    """Data set -> subset -> names of the images that it leaves out: a cell needs no list file any more."""
    excluded: dict[str, dict[str, list[str]]] = {dataset: {} for dataset in opened}
    for name, subset in file.spec.subsets.items():
        with file.at("subsets", name):
            listed = _found(subset.exclude, data_root)
            for dataset, data in opened.items():
                if subset.dataset in (None, dataset):
                    excluded[dataset][name] = data.listed(listed)
    return excluded


def _photos(file: SpecFile, dataset: str, opened: Data, data_root: Path) -> dict[str, str]:
    """Evaluation image -> its photo, where the spec says which images share one."""
    source = file.spec.datasets[dataset]
    if source.groups is None:
        return {}
    with file.at("datasets", dataset, "groups"):
        if source.lists_groups:
            return photos_by_list(_found(source.groups, data_root), opened.scored)
        return photos_by_rule(source.groups, opened.scored)


def _check_device(spec: Spec) -> None:
    """A cell runs on one device: the CPU, or a GPU by its number among those that it will see."""
    device, engine = spec.budget.device, spec.engine
    gpus, here = ("engine", "gpus"), ("budget", "device")
    if engine.name == "ray":  # the GPUs are elsewhere; a cell sees its own
        if device == "cpu" and engine.gpus:
            raise SpecError(f"{engine.gpus} of a GPU would idle, for budget.device is cpu; write device: 0", gpus)
        if device != "cpu" and engine.gpus == 0:
            raise SpecError(f"0, but budget.device is {device!r}; give a share such as 0.5", gpus)
        seen = max(1, int(engine.gpus or 1))
    else:
        seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if device != "cpu" and not seen:
            raise SpecError(f"{device!r}, but torch sees no CUDA device; write `device: cpu`", here)
    valid = ["cpu", *(str(number) for number in range(seen))]
    if device != "cuda" and device.removeprefix("cuda:") not in valid:
        raise SpecError(f"{device!r} is no device that a cell could run on{choices(device, valid)}", here)


def _refuse_other_run(cell: Cell) -> None:
    """A folder that holds another run's cell is neither reused nor overwritten; a row alone says whose it is."""
    path = next((p for name in ("cell.json", "row.json") if (p := cell.folder / name).exists()), None)
    if path is None:
        return
    there, now = read_json(path), cell.identity
    if not isinstance(there, dict):
        raise SpecError(f"{path} says nothing of a cell; delete it and run the spec again")
    changed = [f"{key}: {there.get(key)!r} -> {now[key]!r}" for key in now if _said(there.get(key)) != _said(now[key])]
    if changed:
        raise SpecError(f"{cell.folder} holds a different run ({'; '.join(changed)}); give another --out or delete it")


def _said(value: object) -> object:
    """Without keys that are None or False, which say nothing: specs gain keys, and folders outlive that."""
    return {k: v for k, v in value.items() if v is not None and v is not False} if isinstance(value, dict) else value
