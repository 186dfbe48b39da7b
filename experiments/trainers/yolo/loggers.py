"""TensorBoard, MLflow, W&B of YOLO models, by Ultralytics' switches; segplug's are `trainers.crack.callbacks`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from experiments.cells.cell import Cell
from experiments.errors import SpecError
from yoloplug.bridge import training

_PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}


def check_loggers(names: tuple[str, ...]) -> None:
    """Raise SpecError for one whose package is missing."""
    for name in names:
        if find_spec(_PACKAGES[name]) is None:
            raise SpecError(f"{name} needs its package; pip install {_PACKAGES[name]}, or leave it out")


@contextmanager
def logging_to(cell: Cell) -> Iterator[None]:
    """Ultralytics logs to the spec's loggers and to nothing else, whatever the user's settings say; they stay.

    MLflow's experiment is the spec's name, a run is the cell.
    """
    names = {"MLFLOW_EXPERIMENT_NAME": cell.spec.name, "MLFLOW_RUN": cell.key}
    environment = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        with training.logging_to(cell.spec.loggers):
            yield
    finally:
        for name, old in environment.items():
            os.environ.pop(name) if old is None else os.environ.update({name: old})
