"""A segmentation cell of a YOLO YAML: trained by Ultralytics' semantic task, its saved masks scored by segplug.

Both see the same train and validation images, at equal epochs and batch; augmentation, loss and optimiser are
Ultralytics' own.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from experiments.cells.cell import Cell
from experiments.cells.ledger import Epochs
from experiments.metrics.cost import torch_device
from experiments.metrics.peak_memory import PeakMemory
from experiments.spec.strict import SpecError
from experiments.trainers.crack.evaluation import FILES, METRIC, crack_row, pictures_of, val_source
from experiments.trainers.yolo.masks import predict, write_data
from experiments.trainers.yolo.train import CURVES, measure_cost, read_curves, train
from segplug.data.source import DataSource
from segplug.data.split import train_val_samples
from segplug.errors import SegplugError
from segplug.evaluation.run import evaluate_predictions
from segplug.training.config import TrainConfig
from yoloplug.bridge.training import quiet

__all__ = ["check_semantic_data", "input_px", "run_semantic"]

WEIGHTS = "train/weights/best.pt"


def input_px(cell: Cell) -> int:
    """Longer side of the network's input."""
    return cell.model.imgsz or cell.spec.budget.imgsz


def check_semantic_data(config: TrainConfig) -> None:
    """Raise SpecError where Ultralytics would be left without validation images."""
    try:
        val = train_val_samples(config, config.val_split, config.seed)[1]
    except SegplugError as error:
        raise SpecError(f"{config.data}: {error}") from error
    if not val:
        raise SpecError(
            f"models: {config.model}: train.val_split is 0 and {config.data} has no val split, but Ultralytics needs "
            "validation images; write val_split: 0.1, or leave the model out"
        )


def run_semantic(cell: Cell, config: TrainConfig, epochs: Epochs) -> dict[str, Any]:
    """Train (or go on training), predict, score: the row of `segment.run_cell`. config: data and split are read."""
    images = len(train_val_samples(config, config.val_split, config.seed)[0])
    memory = PeakMemory(torch_device(cell.spec.budget.device))
    with quiet():
        options = {"imgsz": input_px(cell)}
        last, diverged = train(cell, cell.model.model, "semantic", lambda: _data(cell, config), options, epochs)
        spent = epochs.summary(images)
        if last is None:
            reason = "Ultralytics: loss NaN or infinite, epoch after epoch"
            return {"metrics": {}, "diverged": True, "reason": reason, "cost": {}, "method": {}, "files": {}} | {
                "train": spent
            }
        spent |= memory.summary()
        found = cell.folder / "found"
        shutil.rmtree(found, ignore_errors=True)  # of a run killed while it was predicting
        source = DataSource(str(cell.data))
        predict(cell.folder / WEIGHTS, source, found, imgsz=input_px(cell), device=cell.spec.budget.device)
    result, scored = crack_row(
        cell, lambda on_image, out: evaluate_predictions(found, source, out=out, on_image=on_image)
    )
    shutil.rmtree(_folder(cell), ignore_errors=True)  # a copy of the data set; every cell would keep one
    return {
        **scored,
        "diverged": diverged,
        "cost": measure_cost(cell.folder / WEIGHTS, cell.spec.budget, cell.spec.protocol),
        "train": spent,
        "method": _method(cell, result, config),
        "files": {**FILES, "curves": CURVES, "weights": WEIGHTS, "pictures": pictures_of(cell)},
    }


def _data(cell: Cell, config: TrainConfig) -> Path:
    """The data set as Ultralytics reads it, with segplug's validation images; data.yaml is written last."""
    file = _folder(cell) / "data.yaml"
    if file.exists() and yaml.safe_load(file.read_text(encoding="utf-8"))["path"] == str(
        file.parent.resolve()
    ):  # else written before a move
        return file
    shutil.rmtree(_folder(cell), ignore_errors=True)
    return write_data(config, _folder(cell), config.val_split, config.seed)


def _folder(cell: Cell) -> Path:
    return cell.folder / "data"


def _best_epoch(cell: Cell) -> int:
    """Ultralytics saves best.pt again at every epoch that equals the best."""
    rows = {round(row["epoch"]): row["metrics/mIoU"] for row in read_curves(cell) if "metrics/mIoU" in row}
    return max(rows, key=lambda epoch: (rows[epoch], epoch))


def _method(cell: Cell, result: dict[str, Any], config: TrainConfig) -> dict[str, Any]:
    return {
        "weights": f"random start; best crack IoU on {val_source(cell.data, config.val_split)}, in Ultralytics' "
        f"letterboxed frame (epoch {_best_epoch(cell)}); test is read once, after training; Ultralytics' own "
        "augmentation, loss and optimiser: of the spec's train only what says how data are read and split reaches it",
        "checkpoint": "best on validation",
        "split": f"test, {result['images']} images",
        "predictions": f"Ultralytics' class map, letterboxed to {input_px(cell)} px, saved in the image's own size",
        "metric": f"{METRIC}; masks are scored, not probabilities: there is one threshold, ods_* and ois_* equal the "
        "score at it",
    }
