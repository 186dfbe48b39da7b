"""Score a checkpoint on full-size images of a split, with one row an image for paired statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from segplug.checkpoint import json_writer, load_model, write_atomic
from segplug.data import CrackDataset, find_pairs
from segplug.errors import SegplugError
from segplug.inference import OVERLAP, pick_device, tiled_crack_probability
from segplug.metrics import ImageCounts, MetricSum
from segplug.models import parameters

__all__ = ["evaluate"]


def evaluate(
    checkpoint: Path | str,
    data: Path | str,
    split: str = "test",
    device: str = "auto",
    threshold: float = 0.5,
    out: Path | str | None = None,
    tile: int = 2048,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Metrics as segplug.metrics defines them, JSON-able: what was scored, "metrics", and "per_image" rows with counts.

    split: "train", "val" or "test" of the data folder, "all" for a folder without splits. `out`: JSON file to write.
    tile: images above it on a side are scored from blended tiles, to bound memory.
    Raises SegplugError on bad data, a bad checkpoint or a threshold outside (0, 1).
    """
    if not 0 < threshold < 1:
        raise SegplugError(f"threshold must lie between 0 and 1, got {threshold}")
    if tile < 2 * OVERLAP:
        raise SegplugError(f"tile must be at least {2 * OVERLAP} px, got {tile}")
    place = pick_device(device)
    dataset = CrackDataset(find_pairs(Path(data), split), note=note)
    model, about = load_model(Path(checkpoint))
    model.to(place)
    total, rows = MetricSum(threshold), []
    for i, pair in enumerate(dataset.pairs):
        image, mask = dataset.arrays(i)
        probability = tiled_crack_probability(model, image, place, tile)
        if not np.isfinite(probability).all():
            raise SegplugError(
                f"{checkpoint}: the model gives NaN on {pair.image}; its weights are broken, train again"
            )
        rows.append(ImageCounts(pair.name, total.add(probability, mask)).row())
    result = {
        "checkpoint": str(checkpoint),
        "epoch": int(about["row"]["epoch"]),
        "model": about["model"],
        "parameters": parameters(model),
        "data": str(data),
        "split": split,
        "images": len(rows),
        "threshold": threshold,
        "metrics": total.scores(),
        "per_image": rows,
    }
    if out is not None:
        write_atomic(Path(out), json_writer(result))
    return result
