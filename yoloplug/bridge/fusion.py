"""Stock `model.fuse()` also folds the BatchNorm layers of our hosts."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

__all__ = ["patch"]


def patch(tasks: ModuleType) -> None:
    stock = tasks.BaseModel.fuse

    @functools.wraps(stock)
    def fuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        from yoloplug.hosts import ConvLike

        for module in self.model.modules():
            if isinstance(module, ConvLike):
                module.fuse()
        return stock(self, *args, **kwargs)

    tasks.BaseModel.fuse = fuse
