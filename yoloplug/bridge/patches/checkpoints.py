"""Stock loading of checkpoints that name our classes: allowed in restricted mode, explained where one is missing.

Restricted is `ULTRALYTICS_SAFE_LOAD=1`, from 8.4.100 on.
"""

from __future__ import annotations

import functools
from pathlib import Path
from types import ModuleType
from typing import Any


def patch(tasks: ModuleType) -> None:
    stock = tasks.torch_safe_load

    @functools.wraps(stock)
    def torch_safe_load(weight: str | Path, *args: Any, **kwargs: Any) -> Any:
        if Path(weight).is_file():
            _prepare(weight)
        return stock(weight, *args, **kwargs)

    setattr(tasks, stock.__name__, torch_safe_load)


def _prepare(weight: str | Path) -> None:
    """Add to torch's allow-list each layer of ours that the file needs. Raises ImportError where there is none.

    Without this, stock Ultralytics would install a package of the missing module's name.
    """
    import zipfile

    import torch

    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint") or not zipfile.is_zipfile(weight):
        return
    try:
        named = torch.serialization.get_unsafe_globals_in_checkpoint(str(weight))
    except (RuntimeError, ValueError):  # damaged; stock says so
        return
    ours = [name for name in named if name.startswith("yoloplug.")]
    if not ours:
        return
    from yoloplug.bridge.checkpoints.safe_load import layer, missing_of_ours

    if missing := missing_of_ours(ours, Path(weight)):
        raise ImportError(f"{weight}: {missing}")
    torch.serialization.add_safe_globals([(found, name) for name in ours if (found := layer(name))])
