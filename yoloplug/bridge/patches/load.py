"""`BaseModel.load`: weights of a trained network go to the row that they belong to, not to the row of their number.

That is what `yolo train model=my.yaml pretrained=yolov8n.pt` and `YOLO("my.yaml").load("yolov8n.pt")` call. Ultralytics
itself still loads: it is given the trained tensors under the names that they have in the changed network, so that
whatever it does beyond (widths of the class branch, classes by name, image channels, its own line) stays. Where neither
network has a block of ours, or both have the same rows, its function runs as it is.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any


def patch(tasks: ModuleType) -> None:
    stock = tasks.BaseModel.load

    @functools.wraps(stock)
    def load(self: Any, weights: Any, verbose: bool = True) -> Any:
        source = _network(weights) if "yoloplug.hosts" in sys.modules else None  # without it, no block of ours
        if source is None or not _is_changed(source, self):
            return stock(self, weights, verbose)
        from ultralytics.utils import LOGGER

        from yoloplug.bridge.place import place

        done = place(source, self, verbose)
        if verbose:
            for line in done.short():
                LOGGER.info(f"yoloplug: {line}")

    tasks.BaseModel.load = load


def _network(weights: Any) -> Any:
    """The trained network in what `load` is given; None where it has no rows, or has its new names already."""
    from yoloplug.bridge.graph import has_rows
    from yoloplug.bridge.place import Renamed

    if isinstance(weights, Renamed):
        return None
    found = (weights.get("ema") or weights.get("model")) if isinstance(weights, Mapping) else weights
    found = getattr(found, "_orig_mod", found)  # of torch.compile
    return found if has_rows(found) else None


def _is_changed(source: Any, target: Any) -> bool:
    """Whether one of them has a block of ours, and not both the same rows."""
    rows = [[(row.f, [type(part) for part in row.modules()]) for row in network.model] for network in (source, target)]
    ours = any(part.__module__ == "yoloplug.hosts" for network in rows for _, parts in network for part in parts)
    return ours and rows[0] != rows[1]
