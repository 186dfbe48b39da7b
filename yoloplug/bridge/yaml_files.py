"""Our model YAMLs are found by bare name, from any directory, as Ultralytics' own are."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

__all__ = ["patch"]


def patch(checks: ModuleType) -> None:
    stock = checks.check_file

    @functools.wraps(stock)
    def check_file(file: Any, *args: Any, **kwargs: Any) -> Any:
        from yoloplug.yamls import find

        return stock(find(str(file)) or file, *args, **kwargs)

    setattr(checks, stock.__name__, check_file)
