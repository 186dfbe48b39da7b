"""What a cell keeps of its evaluation images: enough to score, resample and draw them without model or data."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from experiments.evidence.evidence import Evidence, ImageSet, Panels
from experiments.tasks.task import Task

__all__ = ["Evidence", "ImageSet", "Panels", "evidence_of"]

if TYPE_CHECKING:  # each module is an Evidence
    from experiments.evidence import boxes, masks

    _EVERY: tuple[Evidence, ...] = (boxes, masks)


def evidence_of(task: Task) -> Evidence:
    module: Any = importlib.import_module(task.evidence)
    return module
