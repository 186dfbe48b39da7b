"""A segmentation cell of a YOLO YAML: trained by Ultralytics' semantic task, its saved masks scored by segplug.

Both see the same train and validation images, at equal epochs and batch; augmentation, loss and optimiser are
Ultralytics' own.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import yaml

from experiments.cells.cell import Cell
from experiments.cells.ledger import Epochs
from experiments.cells.row import Method, Result
from experiments.errors import SpecError
from experiments.evidence.masks import FILES
from experiments.metrics.cost import torch_device
from experiments.spec.spec import Model
from experiments.trainers.crack.data import open_cracks
from experiments.trainers.crack.evaluation import METRIC, broken_down, crack_row, pictures_of
from experiments.trainers.crack.options import check_options as check_options
from experiments.trainers.crack.options import train_config
from experiments.trainers.steps import placed, timed_steps
from experiments.trainers.trainer import Steps
from experiments.trainers.yolo.checks import check_yolo
from experiments.trainers.yolo.masks import predict, write_data
from experiments.trainers.yolo.start import Start, check_start, start_of
from experiments.trainers.yolo.train import CURVES, read_curves, train
from experiments.trainers.yolo.train import measure_cost as measure_cost
from segplug.evaluation.run import evaluate_predictions
from yoloplug.bridge.model import built
from yoloplug.bridge.training import quiet
from yoloplug.cost.machine import PeakMemory
from yoloplug.modelfile.file import read

WEIGHTS = "train/weights/best.pt"
open_data = open_cracks


def check_model(model: Model) -> None:
    if model.matched_to:
        raise SpecError(f"{model.label}: only detection models can be matched; remove matched_to and by")
    check_yolo(model, "semantic")


def check_cell(cell: Cell) -> None:
    """Ultralytics trains nothing without validation images."""
    if not _split(cell)[1]:
        raise SpecError(
            f"{cell.model.model}: train.val_split is 0 and the data have no val split, but Ultralytics needs "
            "validation images; write val_split: 0.1, or leave the model out"
        )
    check_start(cell)


def run_cell(cell: Cell, epochs: Epochs) -> Result:
    """Train (or go on training), predict, score."""
    images, side = len(_split(cell)[0]), _input_px(cell)
    memory = PeakMemory(torch_device(cell.spec.budget.device))
    with quiet():
        start = start_of(cell, "semantic", 1)
        last, diverged = train(cell, start, lambda: _data(cell), {"imgsz": side}, epochs)
        spent = epochs.summary(images)
        if last is None:
            return {**broken_down("Ultralytics: loss NaN or infinite, epoch after epoch", spent), **start.row}
        spent |= memory.summary()
        found = cell.folder / "found"
        shutil.rmtree(found, ignore_errors=True)  # of a run killed while it was predicting
        predict(cell.folder / WEIGHTS, cell.data.opened, found, imgsz=side, device=cell.spec.budget.device)
    result, scored = crack_row(
        cell, lambda on_image, out: evaluate_predictions(found, cell.data.opened, out=out, on_image=on_image)
    )
    shutil.rmtree(_folder(cell), ignore_errors=True)  # a copy of the data set; every cell would keep one
    return {
        **scored,
        **start.row,
        "diverged": diverged,
        "cost": measure_cost(cell.folder / WEIGHTS, cell.spec.budget, cell.spec.protocol),
        "train": spent,
        "method": _method(cell, start, result),
        "files": {**FILES, "curves": CURVES, "weights": WEIGHTS, "pictures": pictures_of(cell)},
    }


def training_steps(cell: Cell) -> Steps:
    batch, side = cell.spec.budget.batch, _input_px(cell)
    with quiet():
        model = built(read(cell.model.model).model, "semantic", classes=1)
    device = placed(cell, model)
    images = torch.rand(batch, 3, side, side, device=device)
    masks = torch.randint(0, 2, (batch, side, side), dtype=torch.int32, device=device)
    split = _split(cell)
    return timed_steps(
        cell,
        model,
        lambda: model({"img": images, "semantic_mask": masks})[0].sum(),
        images[:1],
        *map(len, (*split, cell.data.test)),
    )


def _input_px(cell: Cell) -> int:
    """Longer side of the network's input."""
    return cell.model.imgsz or cell.spec.budget.imgsz


def _split(cell: Cell) -> tuple[list[Any], list[Any]]:
    """As segplug would split the same cell's images."""
    return cell.data.train_val(train_config(cell).val_split, cell.seed)


def _data(cell: Cell) -> Path:
    """The data set as Ultralytics reads it, with segplug's validation images; data.yaml is written last."""
    file = _folder(cell) / "data.yaml"
    here = str(file.parent.resolve())
    if file.exists() and yaml.safe_load(file.read_text(encoding="utf-8"))["path"] == here:  # else of before a move
        return file
    shutil.rmtree(_folder(cell), ignore_errors=True)
    return write_data(cell.data.opened, _folder(cell), train_config(cell).val_split, cell.seed)


def _folder(cell: Cell) -> Path:
    return cell.folder / "data"


def _best_epoch(cell: Cell) -> int:
    """Ultralytics saves best.pt again at every epoch that equals the best."""
    rows = {round(row["epoch"]): row["metrics/mIoU"] for row in read_curves(cell) if "metrics/mIoU" in row}
    return max(rows, key=lambda epoch: (rows[epoch], epoch))


def _method(cell: Cell, start: Start, result: dict[str, Any]) -> Method:
    return {
        "start": start.text,
        "chosen_on": cell.data.chosen_on(train_config(cell).val_split),
        "chosen_by": "crack IoU in Ultralytics' letterboxed frame",
        "epoch": _best_epoch(cell),
        "weights": "test is read once, after training; Ultralytics' own augmentation, loss and optimiser: of the "
        "spec's train only what says how data are read and split reaches it",
        "checkpoint": "best on validation",
        "scored": "test",
        "split": f"test, {result['images']} images",
        "predictions": f"Ultralytics' class map, letterboxed to {_input_px(cell)} px, saved in the image's own size",
        "metric": f"{METRIC}; masks are scored, not probabilities: there is one threshold, ods_* and ois_* equal the "
        "score at it",
    }
