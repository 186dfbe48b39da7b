"""Restricted loading (`ULTRALYTICS_SAFE_LOAD=1`, from 8.4.100 on) accepts our classes that a checkpoint names."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["patch"]


def patch(tasks: ModuleType) -> None:
    if not hasattr(tasks, "_SafeLoad"):  # older releases have no restricted mode
        return
    stock = tasks.torch_safe_load

    @functools.wraps(stock)
    def torch_safe_load(weight: str | Path, safe_only: bool | None = None) -> Any:
        if (tasks.SAFE_LOAD if safe_only is None else safe_only) and Path(weight).is_file():
            _allow_our_classes(weight)
        return stock(weight, safe_only=safe_only)

    setattr(tasks, stock.__name__, torch_safe_load)


def _allow_our_classes(weight: str | Path) -> None:
    """Add to torch's allow-list each `nn.Module` below yoloplug.hosts or yoloplug.blocks that the file needs."""
    import zipfile

    import torch

    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint") or not zipfile.is_zipfile(weight):
        return
    for name in torch.serialization.get_unsafe_globals_in_checkpoint(str(weight)):
        module, _, attribute = name.rpartition(".")
        if module == "yoloplug.hosts" or module.startswith("yoloplug.blocks."):
            found = getattr(importlib.import_module(module), attribute, None)
            if isinstance(found, type) and issubclass(found, torch.nn.Module):
                torch.serialization.add_safe_globals([(found, name)])
