"""Where the training of a YOLO YAML starts: at random, or from a checkpoint's weights; and what of it is fresh.

Fine-tuning asks for controls. The checkpoint's own model trained on is one. A changed model also starts with fresh
parameters wherever its layers are other ones; so the second is the checkpoint's own model in which what the changed one
cannot take is fresh too (`fresh_as`), and the third is stock scaled to its budget (`matched_to`).
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from experiments.cells.cell import Cell
from experiments.cells.row import Result
from experiments.errors import SpecError
from experiments.trainers.yolo.capacity_control import write_scaled
from yoloplug.bridge.model import built, load, task_of
from yoloplug.files import write, write_text
from yoloplug.hosts import host_names
from yoloplug.modelfile.file import ModelFile, read


class Start(NamedTuple):
    """`model`: the YAML that is trained, for Ultralytics' `task`. `weights`: checkpoint to begin with. `row`: facts."""

    model: str
    task: str
    weights: Path | None
    row: Result

    @property
    def text(self) -> str:
        """As a row's method has it."""
        init = self.row.get("init")
        if init is None:
            return "random start"
        preserved = ", function preserved" if init["preserve"] else ""
        return f"weights of {init['file']}, {init['fresh'] / init['params']:.1%} of the parameters fresh{preserved}"


def check_start(cell: Cell) -> None:
    """Read the checkpoint. Raises SpecError, YoloplugError where it is none or of another task."""
    if cell.init is not None:
        source, wanted = load(cell.init.path), task_of(read(cell.model.model).model)
        task = task_of(getattr(source, "yaml", {}))
        if task != wanted:
            raise SpecError(f"{cell.init.path} is a model for the task {task}, not {wanted}", ("init",))


def start_of(cell: Cell, task: str, classes: int) -> Start:
    """Write what training starts from into the cell's folder. classes: of the data."""
    model, row = cell.model.model, Result()
    if cell.model.matched_to:
        shared = cell.folder.parents[1] / "matched"
        path, row["matched"] = write_scaled(cell.model, classes, cell.spec.budget, cell.folder, shared)
        model = str(path)
    if cell.init is None:
        return Start(model, task, None, row)
    if cell.model.preserve:
        path = cell.folder / f"{cell.model.label}.yaml"
        write_text(path, preserving(read(model)))
        model = str(path)
    source, weights = load(cell.init.path), cell.init.path
    torch.manual_seed(cell.seed)
    network = built(read(model).model, task, classes)
    fresh = _untouched(network, source)
    if cell.model.fresh_as:
        weights, more = _refreshed(cell, source, task, classes)
        fresh += more
    row["init"] = {
        "file": cell.init.path.name,
        "fresh": fresh,
        "params": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "preserve": cell.model.preserve,
        "fresh_as": cell.model.fresh_as,
    }
    return Start(model, task, weights, row)


def preserving(file: ModelFile) -> str:
    """The model YAML with `preserve: true` in every row of ours that does not say it. Raises SpecError without any."""
    text = file.text
    ours = host_names()
    rows = [row for row in file.rows if row.name in ours]
    if not rows:
        raise SpecError(f"{file.name} has no row whose function could be preserved; remove preserve", ("preserve",))
    for row in reversed(rows):  # from the end, so that places stay
        start, end = row.spans["args"]
        if row.args and isinstance(row.args[-1], dict):
            if "preserve" in row.args[-1]:
                continue
            brace = text.rindex("}", start, end)
            text = f"{text[:brace]}{', ' * bool(row.args[-1])}preserve: true{text[brace:]}"
        else:
            before = text[: end - 1].rstrip().removesuffix(",") + ", " * bool(row.args)
            text = f"{before}{{preserve: true}}{text[end - 1 :]}"
    return text


def _untouched(network: nn.Module, source: nn.Module) -> int:
    """How many of the parameters that are trained loading the source leaves as they are. Loads marks."""
    trained = [p for p in network.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in trained]
    network.load(_marked(source)[0])  # type: ignore[operator]
    return sum(int((a == b).sum()) for a, b in zip(before, trained, strict=True))


def _marked(source: nn.Module) -> tuple[nn.Module, dict[str, float]]:
    """A copy that holds one number in each tensor, which no weight has; name -> number."""
    marked, marks = copy.deepcopy(source), {}
    for number, (name, value) in enumerate(marked.state_dict().items(), start=1001):
        if value.is_floating_point():
            value.fill_(number)
            marks[name] = float(number)
    return marked, marks


def _refreshed(cell: Cell, source: Any, task: str, classes: int) -> tuple[Path, int]:
    """The checkpoint with fresh values for what `fresh_as` cannot take of it, and how many parameters that makes."""
    marked, marks = _marked(source)
    other = built(read(str(cell.model.fresh_as)).model, task, classes)
    other.load(marked)
    taken = {float(v) for value in other.state_dict().values() if value.is_floating_point() for v in value.unique()}
    again: Any = copy.deepcopy(source)
    random = built(source.yaml, task, source.yaml["nc"]).state_dict()
    state = again.state_dict()
    lost = [name for name, mark in marks.items() if mark not in taken]
    for name in lost:
        state[name].copy_(random[name])
    path = cell.folder / "start.pt"
    write(path, lambda part: torch.save({"model": again, "train_args": {}}, part))
    return path, sum(p.numel() for name, p in again.named_parameters() if name in lost)
