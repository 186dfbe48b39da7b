"""A segmentation cell: train by segplug, then crack metrics on the test split, which training never reads."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from experiments.cells.cell import Cell
from experiments.cells.ledger import Epochs
from experiments.cells.record import hash_files
from experiments.metrics.cost import cost, torch_device
from experiments.metrics.fold_batch_norm import fold_batch_norm
from experiments.metrics.peak_memory import PeakMemory
from experiments.spec.spec import Budget, Model, Protocol
from experiments.spec.strict import SpecError, nearest
from experiments.trainers.crack.callbacks import AddLoggers, ToLedger
from experiments.trainers.crack.evaluation import FILES, METRIC, crack_row, pictures_of, val_source
from segplug.data.readers import open_data
from segplug.data.split import train_val_samples
from segplug.errors import NonFiniteLoss, SegplugError
from segplug.evaluation.exclude import kept_images
from segplug.evaluation.run import evaluate
from segplug.inference.checkpoint import load_model
from segplug.models.create import create_model, encoder_for
from segplug.training.run import TrainConfig, train

__all__ = [
    "check_cell",
    "check_data",
    "check_model",
    "check_options",
    "listed_images",
    "measure_cost",
    "run_cell",
    "train_config",
]

_FROM_SPEC = {"data", "model", "encoder", "encoder_weights", "epochs", "batch", "crop", "seed", "out"} | {
    "workers",
    "device",
    "resume",
    "patience",
    "tensorboard",
}


def check_model(model: Model) -> None:
    """Build the network once without pretrained weights."""
    if model.matched_to:
        raise SpecError(f"models: {model.label}: only detection models can be matched; remove matched_to and by")
    if model.is_yolo:
        from experiments.trainers.yolo.checks import check_yolo

        return check_yolo(model, "semantic")
    if model.imgsz:
        raise SpecError(
            f"models: {model.label}: imgsz of its own is for YOLO models; this one is trained on crops of budget.imgsz"
        )
    try:
        if encoder_for(model.model, model.encoder, model.encoder_weights) and not model.encoder:
            raise SpecError(f"models: {model.model!r} needs an encoder: {{model: {model.model}, encoder: resnet18}}")
        create_model(model.model, model.encoder, None)
    except SegplugError as error:
        raise SpecError(f"models: {error}") from error


def check_cell(cell: Cell) -> None:
    """Ultralytics trains nothing without validation images."""
    if cell.model.is_yolo:
        from experiments.trainers.yolo.semantic import check_semantic_data

        check_semantic_data(train_config(cell))


def check_data(cell: Cell) -> str:
    """Every image has its mask, and there are a train and a test split; the content hash."""
    if cell.source.val_share:
        raise SpecError(
            f"datasets.{cell.dataset}: val_share is for task: detect; here test is scored, and train.val_split "
            "(default 0.1) takes validation images from train"
        )
    try:
        data = open_data(cell.data)
        splits = data.splits
        missing = [split for split in ("train", "test") if split not in splits]
        if missing:
            raise SpecError(f"{cell.data}: no {missing[0]} split; found: {', '.join(splits)}")
        samples = [sample for split in splits for sample in data.samples(split)]
    except SegplugError as error:
        raise SpecError(str(error)) from error
    return hash_files(file for sample in samples for file in (sample.image, sample.label.path))


def listed_images(cell: Cell, listed: Path) -> list[str]:
    """Names of the test images that the text file lists. Raises SpecError on a name that is none of them."""
    try:
        samples = open_data(cell.data).samples("test")
        keep = kept_images(listed, [sample.image for sample in samples])
    except SegplugError as error:
        raise SpecError(str(error)) from error
    return [sample.name for sample, kept in zip(samples, keep, strict=True) if not kept]


def check_options(options: dict[str, Any]) -> None:
    """`train` of the spec holds segplug's TrainConfig fields, less those that the runner sets."""
    free = {field.name for field in fields(TrainConfig)} - _FROM_SPEC
    for key in options:
        if key in _FROM_SPEC:
            raise SpecError(f"train.{key}: set by the runner (see budget, seeds, models, loggers); remove it")
        if key not in free:
            raise SpecError(f"train.{key}: no such training option{nearest(key, free)}")
    try:
        TrainConfig(data="", **options)
    except (SegplugError, TypeError) as error:
        key = str(error).split()[0]  # segplug's checks begin with it
        raise SpecError(f"train{f'.{key}' if key in options else ''}: {error}") from error


def run_cell(cell: Cell, epochs: Epochs) -> dict[str, Any]:
    """Train (or go on training), evaluate. Returns the row's `metrics`, `cost`, `train`, `method`, `files`."""
    config = train_config(cell)
    if cell.model.is_yolo:
        from experiments.trainers.yolo.semantic import run_semantic

        return run_semantic(cell, config, epochs)
    training = _training_images(config)
    memory = PeakMemory(config.device)
    try:
        folder = train(config, [ToLedger(epochs), AddLoggers(cell)])
    except NonFiniteLoss as error:
        return {"metrics": {}, "diverged": True, "reason": str(error), "cost": {}, "method": {}, "files": {}} | {
            "train": _training(Path(config.out), training)
        }
    spent = _training(folder, training) | memory.summary()
    torch.set_num_threads(cell.spec.budget.threads)
    checkpoint = folder / "best.ckpt"
    result, scored = crack_row(
        cell, lambda on_image, out: evaluate(checkpoint, cell.data, "test", config.device, on_image=on_image, out=out)
    )
    _, about = load_model(checkpoint)
    return {
        **scored,
        "diverged": False,
        "cost": measure_cost(checkpoint, cell.spec.budget, cell.spec.protocol),
        "train": spent,
        "method": _method(cell, result, about),
        "files": {**FILES, "curves": "train/metrics.csv", "weights": "train/best.ckpt", "pictures": pictures_of(cell)},
    }


def measure_cost(weights: Path, budget: Budget, protocol: Protocol) -> dict[str, Any]:
    """Cost of a trained model, timed with its batch norms folded."""
    if weights.suffix == ".pt":
        from experiments.trainers.yolo import train as yolo_train

        return yolo_train.measure_cost(weights, budget, protocol)
    torch.set_num_threads(budget.threads)
    trained, _ = load_model(weights)
    folded, samples = fold_batch_norm(trained, torch.rand(1, 3, budget.imgsz, budget.imgsz))
    measured = cost(trained, folded, budget, protocol)
    return {**measured, "latency_protocol": {**measured["latency_protocol"], "batch_norms_folded": samples}}


def train_config(cell: Cell) -> TrainConfig:
    """segplug's settings for the cell."""
    budget, model = cell.spec.budget, cell.model
    return TrainConfig(
        data=str(cell.data),
        model=model.model,
        encoder=model.encoder,
        encoder_weights=model.encoder_weights,
        epochs=budget.epochs,
        batch=budget.batch,
        crop=budget.imgsz,
        seed=cell.seed,
        out=str(cell.folder / "train"),
        workers=budget.workers,
        device=torch_device(budget.device),
        resume=True,
        **cell.spec.train,
    )


def _training_images(config: TrainConfig) -> int:
    """Images that are trained on: the train split less what segplug holds out for validation."""
    return len(train_val_samples(config, config.val_split, config.seed)[0])


def _training(folder: Path, images: int) -> dict[str, Any]:
    """Epochs, images an epoch, seconds of all epochs (validation included)."""
    path = folder / "metrics.csv"
    rows: list[dict[str, str]] = []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    return {"epochs": len(rows), "images_per_epoch": images, "seconds": sum(float(row["seconds"]) for row in rows)}


def _method(cell: Cell, result: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    start = "random start" if cell.model.encoder_weights is None else f"encoder from {cell.model.encoder_weights}"
    source = val_source(cell.data, about["train"]["val_split"])
    chosen = f"best crack IoU on {source}" if source else "last epoch"
    return {
        "weights": f"{start}; {chosen} (epoch {result['epoch']}); test is read once, after training",
        "checkpoint": "best on validation" if source else "last",
        "split": f"test, {result['images']} images",
        "predictions": f"whole images at their own size, threshold {result['threshold']} unless the metric has its own",
        "metric": METRIC,
    }
