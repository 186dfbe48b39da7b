"""Stock training anneals the temperature of DynamicConv and ODConv by itself: 30 -> 1 over the first ten epochs.

Ultralytics copies its default callbacks into every `YOLO` and trainer, DDP children included; ours is one more of them.
Another line, here 20 epochs:

    model = YOLO("yolov8n-C2f_DynamicConv.yaml")
    model.clear_callback("on_train_epoch_start")
    model.add_callback("on_train_epoch_start", lambda trainer: on_train_epoch_start(trainer, epochs=20))
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def patch(callbacks: ModuleType) -> None:
    callbacks.default_callbacks["on_train_epoch_start"].append(on_train_epoch_start)


def on_train_epoch_start(trainer: Any, epochs: int = 10, start: float = 30.0) -> None:
    """Anneal the trainer's model and its EMA, which would otherwise average the temperatures of past epochs."""
    if "yoloplug.blocks" not in sys.modules:  # no block of ours in this process
        return
    from ultralytics.utils import LOGGER

    from yoloplug.blocks import anneal_temperature

    highest = anneal_temperature(trainer.model, trainer.epoch, epochs, start)
    if highest and trainer.ema:
        anneal_temperature(trainer.ema.ema, trainer.epoch, epochs, start)
    if highest > 1 and trainer.epoch == trainer.start_epoch:
        LOGGER.info(
            f"yoloplug: the temperature of kernel attention falls from {highest:g} to 1 until epoch {epochs + 1}"
        )
