"""A new model's norms have seen no batch: releases before 8.4 probe strides in training mode, with one black image."""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any


def patch(tasks: ModuleType) -> None:
    stock = tasks.initialize_weights

    @functools.wraps(stock)
    def initialize_weights(model: Any) -> None:
        """Called by the constructors of models, behind the probe."""
        stock(model)
        if "yoloplug.hosts" in sys.modules:
            from yoloplug.blocks.parts.norms.corrected_batch_norm_2d import CorrectedBatchNorm2d

            for module in model.modules():
                if isinstance(module, CorrectedBatchNorm2d):
                    module.reset_running_stats()

    setattr(tasks, stock.__name__, initialize_weights)
