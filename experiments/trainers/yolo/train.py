"""A cell's training by stock Ultralytics from scratch, of any task: resumed at its last epoch, told to the ledger."""

import copy
import csv
import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from experiments.cells.cell import Cell
from experiments.cells.ledger import Epochs
from experiments.cells.record import write_text
from experiments.metrics.cost import cost
from experiments.spec.spec import Budget, Protocol
from experiments.trainers.yolo.checks import quiet

__all__ = ["CURVES", "measure_cost", "read_curves", "train"]

CURVES = "train/results.csv"
_NAN_MESSAGES = ("NaN persisted", "NaN/Inf")
# What is watched after each epoch: the start of a key of Ultralytics' metrics, and its name.
_MONITORS = {
    "metrics/mAP50-95": "val mAP50-95 (Ultralytics)",
    "metrics/mIoU": "val crack IoU (Ultralytics)",  # of the one class alone
}


def train(
    cell: Cell, model: str, task: str, data: Callable[[], Path], options: dict[str, Any], epochs: Epochs
) -> tuple[Path | None, bool]:
    """The last epoch's weights (None when training broke down to NaN) and whether a loss was ever not finite.

    best.pt, by Ultralytics' own fitness on validation images, lies beside them. data: writes the data set's YAML; asked
    only where training starts or goes on. options: of Ultralytics' training; the runner's own take precedence, except
    imgsz.
    """
    from ultralytics import YOLO
    from ultralytics.utils.torch_utils import strip_optimizer

    last = cell.folder / "train" / "weights" / "last.pt"
    best = last.with_name("best.pt")
    kept = {path: cell.folder / f"{path.stem}_saved.pt" for path in (last, best)}
    _mend(last, best, kept)
    _mend_table(cell.folder / CURVES)
    budget, resume = cell.spec.budget, _whole(last)
    if resume and not 0 <= _epoch(last) < budget.epochs - 1:  # trained; killed before its row was written
        for path in (last, best):
            if _whole(path) and _epoch(path) >= 0:  # and before Ultralytics took the optimiser out
                strip_optimizer(path)
        _forget(kept)
        return last, _not_finite(cell)
    if resume:
        _settle(last, cell.folder, data())
    yolo = YOLO(str(last)) if resume else YOLO(model, task=task)
    yolo.add_callback("on_train_start", _channels_last)
    yolo.add_callback("on_train_epoch_start", lambda _: torch.set_num_threads(budget.threads))
    yolo.add_callback("on_model_save", lambda trainer: _keep(trainer, kept[last], kept[best]))
    yolo.add_callback("on_fit_epoch_end", lambda trainer: _report(trainer, epochs))
    epochs.start(resumed=resume)
    try:
        if resume:
            yolo.train(resume=True)
        else:
            yolo.train(data=str(data()), **_arguments(cell, options))
    except RuntimeError as error:
        if not any(message in str(error) for message in _NAN_MESSAGES):
            raise
        return None, True
    _forget(kept)
    return last, _not_finite(cell)


def read_curves(cell: Cell) -> list[dict[str, float]]:
    """Ultralytics' results.csv: one row an epoch. Of an epoch that was trained again the last row is the valid one."""
    with (cell.folder / CURVES).open(encoding="utf-8", newline="") as file:
        return [
            {key.strip(): float(value) for key, value in row.items() if key and value} for row in csv.DictReader(file)
        ]


def measure_cost(weights: Path, budget: Budget, protocol: Protocol) -> dict[str, Any]:
    """Cost of a trained model, timed as Ultralytics fuses it."""
    from ultralytics import YOLO

    torch.set_num_threads(budget.threads)
    with quiet():
        trained: Any = YOLO(str(weights)).model
        trained.float()
        return cost(trained, copy.deepcopy(trained).fuse(verbose=False), budget, protocol)


def _arguments(cell: Cell, options: dict[str, Any]) -> dict[str, Any]:
    budget = cell.spec.budget
    return {
        "amp": not budget.device.startswith("cpu"),
        "imgsz": budget.imgsz,
        **options,
        "epochs": budget.epochs,
        "patience": 0,
        "batch": budget.batch,
        "device": budget.device,
        "workers": budget.workers,
        "seed": cell.seed,
        "deterministic": True,
        "pretrained": False,
        "plots": False,
        "verbose": False,
        "project": str(cell.folder),
        "name": "train",
        "exist_ok": True,
    }


def _channels_last(trainer: Any) -> None:
    """As stock Ultralytics does on CUDA: on a CPU a step takes 0.55 to 0.87 of the time. Only sums change their order.

    The average that is saved stays as it is: older releases cannot fuse weights in this format.
    """
    if trainer.device.type == "cpu":
        trainer.model.to(memory_format=torch.channels_last)


def _mend(last: Path, best: Path, kept: dict[Path, Path]) -> None:
    """Put whole files in the place of those that a kill or a full disk cut short; best.pt is written after last.pt."""
    if not _whole(last) and _whole(kept[last]):
        shutil.copyfile(kept[last], last)
    if best.exists() and not _whole(best):
        if _whole(last) and _epoch(last) >= 0:
            shutil.copyfile(last, best)  # the last epoch was being saved as the best
        elif _whole(kept[best]):
            shutil.copyfile(kept[best], best)  # the optimiser was being taken out
        else:
            best.unlink()  # Ultralytics would stumble over it


def _mend_table(path: Path) -> None:
    """Take out a last line that a kill or a full disk cut short; Ultralytics would write the next one behind it."""
    if path.exists():
        whole, newline, rest = path.read_text(encoding="utf-8").rpartition("\n")
        if rest:
            write_text(path, whole + newline)


def _settle(last: Path, folder: Path, data: Path) -> None:
    """Ultralytics goes on in the folder that last.pt names; where the cell was moved or copied, name this one."""
    checkpoint = torch.load(last, map_location="cpu", weights_only=False)
    named = checkpoint["train_args"]
    here = {"project": str(folder), "save_dir": str(last.parents[1]), "data": str(data)}
    if (
        Path(named["save_dir"]).resolve() != last.parents[1].resolve()
        or Path(named["data"]).resolve() != data.resolve()
    ):
        part = last.with_suffix(".part")
        torch.save(checkpoint | {"train_args": named | here}, part)
        part.replace(last)


def _keep(trainer: Any, last: Path, best: Path) -> None:
    _save_copy(trainer.last, last)
    if trainer.best_fitness == trainer.fitness:
        _save_copy(trainer.best, best)


def _save_copy(source: Path, target: Path) -> None:
    part = target.with_suffix(".part")
    shutil.copyfile(source, part)
    part.replace(target)


def _forget(kept: dict[Path, Path]) -> None:
    for path in kept.values():
        path.unlink(missing_ok=True)


def _report(trainer: Any, epochs: Epochs) -> None:
    """After Ultralytics' last epoch this event comes once more, for best.pt; `epoch` is then past the budget."""
    if trainer.epoch < trainer.epochs:
        parts = trainer.tloss.values() if isinstance(trainer.tloss, dict) else trainer.tloss  # dict from 8.4 on
        loss = sum(float(part) for part in parts)
        told = (
            f"{name} {value:.3f}"
            for start, name in _MONITORS.items()
            for key, value in trainer.metrics.items()
            if key.startswith(start)
        )
        epochs.done(trainer.epoch + 1, loss, next(told, ""))


def _not_finite(cell: Cell) -> bool:
    return any(not math.isfinite(row[key]) for row in read_curves(cell) for key in row if key.startswith("train/"))


def _whole(checkpoint: Path) -> bool:
    """A checkpoint is a zip file, whose table of contents is written last."""
    return checkpoint.exists() and zipfile.is_zipfile(checkpoint)


def _epoch(checkpoint: Path) -> int:
    """From 0; -1 once Ultralytics has taken the optimiser out, at the end of training."""
    return int(torch.load(checkpoint, map_location="cpu", weights_only=False)["epoch"])
