"""Task name -> the module that knows it."""

import importlib
from typing import Any

__all__ = ["TASKS", "task_module"]

TASKS = {"detect": "experiments.trainers.yolo.detect", "segment": "experiments.trainers.crack.segment"}


def task_module(name: str) -> Any:
    """check_model, check_data, check_options, check_cell, listed_images, run_cell, measure_cost.

    Only that task's side is imported.
    """
    return importlib.import_module(TASKS[name])
