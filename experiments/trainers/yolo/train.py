"""A cell's training by stock Ultralytics, of any task: resumed at its last epoch, told to the ledger."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from experiments.cells.cell import Cell
from experiments.cells.epoch_table import read_epochs
from experiments.cells.ledger import Epochs
from experiments.metrics.cost import cost
from experiments.spec.budget import Budget, Protocol
from experiments.tasks import TASKS
from experiments.trainers.yolo.loggers import logging_to
from experiments.trainers.yolo.start import Start
from yoloplug.bridge.model import fused, load
from yoloplug.bridge.training import (
    NonFiniteLoss,
    SavedWeights,
    loss_of,
    name_non_finite_loss,
    quiet,
    train_in_bf16,
)
from yoloplug.files import write_bytes

CURVES = "train/results.csv"


def train(
    cell: Cell, start: Start, data: Callable[[], Path], options: dict[str, Any], epochs: Epochs
) -> tuple[Path | None, bool]:
    """The last epoch's weights (None when training broke down to NaN) and whether a loss was ever not finite.

    best.pt, by Ultralytics' own fitness on validation images, lies beside them. data: writes the data set's YAML; asked
    only where training starts or goes on. options: of Ultralytics' training; the runner's own take precedence, except
    imgsz.
    """
    from ultralytics import YOLO

    last = cell.folder / "train" / "weights" / "last.pt"
    saved = SavedWeights(last, cell.folder)
    saved.mend()
    _mend_table(cell.folder / CURVES)
    budget, resume = cell.spec.budget, saved.exist
    if resume and not 0 <= saved.epoch < budget.epochs - 1:  # trained; killed before its row was written
        saved.finish()
        return last, _not_finite(cell)
    if resume:
        if (cell.folder / CURVES).exists():
            read_curves(cell)  # damage is told before epochs are trained, not after
        saved.settle(data())
    yolo = YOLO(str(last)) if resume else YOLO(start.model, task=start.task)
    if start.weights and not resume:
        yolo.load(str(start.weights))  # releases before 8.4 go by this, later ones by `pretrained`
    yolo.add_callback("on_train_start", _channels_last)
    yolo.add_callback("on_train_start", name_non_finite_loss)
    if budget.precision == "bf16":
        yolo.add_callback("on_train_start", train_in_bf16)
    yolo.add_callback("on_train_epoch_start", lambda _: torch.set_num_threads(budget.threads))
    yolo.add_callback("on_model_save", saved.keep)
    yolo.add_callback("on_fit_epoch_end", lambda trainer: _report(trainer, cell, epochs))
    epochs.start(resumed=resume)
    try:
        with logging_to(cell):
            yolo.train(**({"resume": True} if resume else {"data": str(data()), **_arguments(cell, start, options)}))
    except NonFiniteLoss:
        return None, True
    saved.forget()
    return last, _not_finite(cell)


def read_curves(cell: Cell) -> list[dict[str, float]]:
    """Ultralytics' results.csv: one row an epoch. Of an epoch that was trained again the last row is the valid one."""
    return read_epochs(cell.folder / CURVES, f"delete {cell.folder} to train the cell again")


def measure_cost(weights: Path, budget: Budget, protocol: Protocol) -> dict[str, Any]:
    """Cost of a trained model, timed as Ultralytics fuses it."""
    torch.set_num_threads(budget.threads)
    with quiet():
        trained = load(weights)
        return cost(
            trained, fused(trained), budget.imgsz, budget.device, protocol.latency_runs, protocol.latency_warmup
        )


def _arguments(cell: Cell, start: Start, options: dict[str, Any]) -> dict[str, Any]:
    budget = cell.spec.budget
    return {
        "amp": budget.device != "cpu" and budget.precision is None,
        "imgsz": budget.imgsz,
        **options,
        "epochs": budget.epochs,
        "patience": 0,
        "batch": budget.batch,
        "device": budget.device,
        "workers": budget.workers,
        "seed": cell.seed,
        "deterministic": True,
        "pretrained": str(start.weights) if start.weights else False,
        "plots": False,
        "verbose": False,
        "project": str(cell.folder),
        "name": "train",
        "exist_ok": True,
    }


def _channels_last(trainer: Any) -> None:
    """As stock Ultralytics does on CUDA: on a CPU a step takes 0.55 to 0.87 of the time. Only sums change their order.

    The EMA that is saved stays as it is: older releases cannot fuse weights in this format.
    """
    if trainer.device.type == "cpu":
        trainer.model.to(memory_format=torch.channels_last)


def _mend_table(path: Path) -> None:
    """Take out a last line that a kill or a full disk cut short; Ultralytics would write the next one behind it."""
    if path.exists():
        whole, newline, rest = path.read_bytes().rpartition(b"\n")
        if rest:
            write_bytes(path, whole + newline)


def _report(trainer: Any, cell: Cell, epochs: Epochs) -> None:
    """After Ultralytics' last epoch this event comes once more, for best.pt; `epoch` is then past the budget."""
    if trainer.epoch < trainer.epochs:
        task = TASKS[cell.spec.task]
        told = (f"{task.watched} {trainer.metrics[key]:.3f}" for key in task.monitor if key in trainer.metrics)
        epochs.done(trainer.epoch + 1, loss_of(trainer), next(told, ""))


def _not_finite(cell: Cell) -> bool:
    return any(not math.isfinite(row[key]) for row in read_curves(cell) for key in row if key.startswith("train/"))
