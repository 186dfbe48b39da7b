"""Stock `model.fuse()` also merges our re-parameterisable blocks and folds the BatchNorm layers of our hosts."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any


def patch(tasks: ModuleType) -> None:
    stock = tasks.BaseModel.fuse

    @functools.wraps(stock)
    def fuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        from ultralytics.utils import LOGGER

        from yoloplug.hosts import ConvLike

        merged = [
            module.block_name for module in self.model.modules() if isinstance(module, ConvLike) and module.fuse()
        ]
        if merged:
            names = ", ".join(sorted(set(merged)))
            LOGGER.info(f"yoloplug: {len(merged)} re-parameterisable blocks ({names}) became one Conv2d each")
        return stock(self, *args, **kwargs)

    tasks.BaseModel.fuse = fuse
