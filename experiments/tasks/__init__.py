"""The tasks that models are compared at: one table, in which everything that differs between them is looked up."""

from experiments.tasks.detection import DETECTION
from experiments.tasks.segmentation import SEGMENTATION
from experiments.tasks.task import Task

__all__ = ["TASKS", "Task"]

TASKS: dict[str, Task] = {"detect": DETECTION, "segment": SEGMENTATION}
