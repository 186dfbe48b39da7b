"""Who trains what: the modules named in `experiments.tasks.TASKS`, imported when they are asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from experiments.errors import SpecError
from experiments.spec.spec import Model
from experiments.tasks import TASKS
from experiments.trainers.trainer import Trainer

__all__ = ["trainer_at", "trainer_name"]

if TYPE_CHECKING:  # each module is a Trainer
    from experiments.trainers.crack import segment
    from experiments.trainers.yolo import detect, semantic

    _TRAINERS: tuple[Trainer, ...] = (detect, semantic, segment)


def trainer_name(task: str, model: Model) -> str:
    """The module that trains this kind of model. Raises SpecError where there is none."""
    trainers = TASKS[task].trainers
    if model.kind not in trainers:
        raise SpecError(f"{model.model!r} must be a model YAML (trained from scratch), such as yolov8n.yaml")
    return trainers[model.kind]


def trainer_at(name: str) -> Trainer:
    module: Any = importlib.import_module(name)
    return module
