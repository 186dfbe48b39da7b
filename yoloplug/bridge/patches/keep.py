"""YOLOPLUG_KEEP=1: whole copies of last.pt and best.pt beside them, `last_saved.pt` and `best_saved.pt`.

Stock Ultralytics writes its checkpoints in place, so that a kill in that moment leaves neither the old nor the new one.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any


def patch(callbacks: ModuleType) -> None:
    if os.environ.get("YOLOPLUG_KEEP", "") not in ("", "0"):
        callbacks.default_callbacks["on_model_save"].append(on_model_save)


def on_model_save(trainer: Any) -> None:
    from yoloplug.bridge.training import SavedWeights

    SavedWeights(trainer.last).keep(trainer)
