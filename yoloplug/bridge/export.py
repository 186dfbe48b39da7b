"""Stock `yolo export format=onnx` can write our blocks: operators that torch's exporter lacks are taught to it."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

__all__ = ["patch"]


def patch(exporter: ModuleType) -> None:
    stock = exporter.Exporter.__call__

    @functools.wraps(stock)
    def export(self: Any, *args: Any, **kwargs: Any) -> Any:
        from yoloplug.blocks.onnx_symbolics import register_onnx_symbolics

        register_onnx_symbolics()
        return stock(self, *args, **kwargs)

    exporter.Exporter.__call__ = export
