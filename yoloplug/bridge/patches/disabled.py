"""YOLOPLUG_DISABLE=1: Ultralytics stays as it is; a row that only yoloplug knows is said to be one."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any


def patch(tasks: ModuleType) -> None:
    stock = tasks.parse_model

    @functools.wraps(stock)
    def parse_model(*args: Any, **kwargs: Any) -> Any:
        try:
            return stock(*args, **kwargs)
        except KeyError as error:
            from yoloplug.hosts import host_names

            if error.args[0] not in host_names():
                raise
            raise KeyError(
                f"{error.args[0]} is a block of yoloplug, which YOLOPLUG_DISABLE=1 turns off; unset it"
            ) from error

    setattr(tasks, stock.__name__, parse_model)
