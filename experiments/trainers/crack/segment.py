"""A segmentation cell: train by segplug, then crack metrics on the test split, which training never reads."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image

from experiments.cells.cell import Cell
from experiments.cells.epoch_table import read_epochs
from experiments.cells.ledger import Epochs
from experiments.cells.row import Method, Result
from experiments.errors import SpecError
from experiments.evidence.masks import FILES
from experiments.metrics.cost import cost
from experiments.metrics.fold_batch_norm import fold_batch_norm
from experiments.spec.budget import Budget, Protocol
from experiments.spec.spec import Model
from experiments.trainers.crack.best_on_test import best_on_test
from experiments.trainers.crack.callbacks import AddLoggers, ToLedger
from experiments.trainers.crack.data import open_cracks
from experiments.trainers.crack.evaluation import METRIC, broken_down, crack_row, pictures_of
from experiments.trainers.crack.options import check_options as check_options
from experiments.trainers.crack.options import train_config
from experiments.trainers.steps import placed, timed_steps
from experiments.trainers.trainer import Steps
from segplug.errors import NonFiniteLoss
from segplug.evaluation.run import OnImage, evaluate
from segplug.inference.checkpoint import load_model
from segplug.inference.probability import normalise
from segplug.losses import LossSum
from segplug.losses.deep_supervision import supervised_loss
from segplug.models.create import create_model, encoder_for
from segplug.models.preprocessing import preprocessing_of
from segplug.training.run import train
from yoloplug.cost.machine import PeakMemory

open_data = open_cracks


def check_model(model: Model) -> None:
    """Build the network once without pretrained weights."""
    if encoder_for(model.model, model.encoder, model.encoder_weights) and not model.encoder:
        raise SpecError(f"{model.model!r} needs an encoder: {{model: {model.model}, encoder: resnet18}}")
    create_model(model.model, model.encoder, None, **(model.options or {}))


def check_cell(cell: Cell) -> None:
    """Training and validation images can be taken from the data."""
    config = train_config(cell)
    cell.data.train_val(config.val_split, config.seed)


def run_cell(cell: Cell, epochs: Epochs) -> Result:
    """Train (or go on training), evaluate."""
    config, folder = train_config(cell), cell.folder / "train"
    images = len(cell.data.train_val(config.val_split, config.seed)[0])
    memory = PeakMemory(config.device)
    try:
        train(config, [ToLedger(epochs), AddLoggers(cell)], cell.data.opened)
    except NonFiniteLoss as error:
        return broken_down(str(error), _training(folder, images))
    spent = _training(folder, images) | memory.summary()
    torch.set_num_threads(cell.spec.budget.threads)
    checkpoint, threshold = folder / "best.ckpt", cell.spec.protocol.threshold
    chosen_on = cell.data.chosen_on(config.val_split)

    def judge(on_image: OnImage, out: Path) -> dict[str, Any]:
        used: float | Literal["auto"] = threshold or ("auto" if chosen_on else 0.5)
        return evaluate(checkpoint, cell.data.opened, "test", config.device, used, on_image=on_image, out=out)

    result, scored = crack_row(cell, judge)
    selected: Result = {"best_on_test": best_on_test(folder, cell.data, config.device)} if config.keep_epochs else {}
    return {
        **scored,
        **selected,
        "diverged": False,
        "cost": measure_cost(checkpoint, cell.spec.budget, cell.spec.protocol),
        "train": spent,
        "method": _method(cell, result, chosen_on),
        "files": {**FILES, "curves": "train/metrics.csv", "weights": "train/best.ckpt", "pictures": pictures_of(cell)},
    }


def measure_cost(weights: Path, budget: Budget, protocol: Protocol) -> dict[str, Any]:
    """Cost of a trained model, timed with its batch norms folded."""
    torch.set_num_threads(budget.threads)
    trained, _ = load_model(weights)
    folded, samples = fold_batch_norm(trained, torch.rand(1, 3, budget.imgsz, budget.imgsz))
    measured = cost(trained, folded, budget.imgsz, budget.device, protocol.latency_runs, protocol.latency_warmup)
    return {**measured, "latency_protocol": {**measured["latency_protocol"], "batch_norms_folded": samples}}


def training_steps(cell: Cell) -> Steps:
    """Of one batch of crops, and of a whole test image as large as the first."""
    budget, config = cell.spec.budget, train_config(cell)
    model, loss = create_model(config.model, config.encoder, None, **config.options), LossSum(config.loss)
    device, size = placed(cell, model), (budget.batch, 3, budget.imgsz, budget.imgsz)
    crops = torch.randint(0, 256, size, dtype=torch.uint8, device=device)
    masks = torch.randint(0, 2, (size[0], 1, *size[2:]), dtype=torch.uint8, device=device)
    with Image.open(cell.data.test[0].image) as first:
        width, height = (ceil(side / 32) * 32 for side in first.size)
    split = cell.data.train_val(config.val_split, config.seed)
    return timed_steps(
        cell,
        model,
        lambda: supervised_loss(loss, model(normalise(crops, preprocessing_of(model))), masks),
        torch.rand(1, 3, height, width, device=device),
        *map(len, (*split, cell.data.test)),
    )


def _training(folder: Path, images: int) -> dict[str, Any]:
    """Epochs, images an epoch, seconds of all epochs (validation included)."""
    path = folder / "metrics.csv"
    rows = read_epochs(path, f"delete {folder} to train again", ("seconds",)) if path.exists() else []
    return {"epochs": len(rows), "images_per_epoch": images, "seconds": sum(row["seconds"] for row in rows)}


def _method(cell: Cell, result: dict[str, Any], chosen_on: str | None) -> Method:
    return {
        "start": "random start" if cell.model.encoder_weights is None else f"encoder from {cell.model.encoder_weights}",
        "chosen_on": chosen_on,
        "chosen_by": "crack IoU",
        "epoch": result["epoch"],
        "weights": "test is read once, after training",
        "checkpoint": "best on validation" if chosen_on else "last",
        "scored": "test",
        "split": f"test, {result['images']} images",
        "predictions": "whole images at their own size, threshold "
        f"{result['threshold']:g} ({result['threshold_from']}) unless the metric has its own",
        "metric": METRIC,
    }
