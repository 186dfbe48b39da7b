"""The spec's `train` of a crack comparison: segplug's TrainConfig, less what the runner sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from experiments.cells.cell import Cell
from experiments.errors import SpecError
from experiments.metrics.cost import torch_device
from experiments.trainers.crack.data import PATHS, SOURCE
from segplug.training.config import TrainConfig
from yoloplug.names import choices

_FROM_SPEC = {"data", "model", "encoder", "encoder_weights", "epochs", "batch", "crop", "seed", "out"} | {
    "workers",
    "device",
    "resume",
    "patience",
    "tensorboard",
}


def check_options(options: Mapping[str, Any], root: Path) -> None:
    """Names, types and ranges, and that the files are there."""
    free = {field.name for field in fields(TrainConfig)} - _FROM_SPEC
    for key in options:
        if key in _FROM_SPEC:
            raise SpecError("set by the runner (see budget, seeds, models, loggers); remove it", (key,))
        if key not in free:
            raise SpecError(f"no such training option{choices(key, free)}", (key,))
    TrainConfig(data="", **options)
    for key in PATHS:
        if options.get(key) is not None and not (root / options[key]).exists():
            raise SpecError(f"{root / options[key]} does not exist; relative paths are read from --data-root", (key,))


def train_config(cell: Cell) -> TrainConfig:
    """segplug's settings for the cell."""
    budget, model = cell.spec.budget, cell.model
    precision: dict[str, Any] = {"precision": budget.precision} if budget.precision else {}
    options = {**cell.spec.train.get("options", {}), **(model.options or {})}
    return TrainConfig(
        **asdict(cell.data.opened.source),
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
        options=options,
        **precision,
        **{name: value for name, value in cell.spec.train.items() if name not in {*SOURCE, "options"}},
    )
