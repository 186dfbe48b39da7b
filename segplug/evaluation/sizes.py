"""Bias of a model in what a measurement tells: predicted crack width and length against the labels'."""

from typing import Any

import numpy as np

from segplug.arrays import Mask
from segplug.measurement.mask import measure_mask

SIZES = ("mean_width_px", "max_width_px", "length_px")


class SizeBias:
    """Give it each image; images without a crack in the label or in the prediction tell no ratio."""

    def __init__(self) -> None:
        self._ratios: dict[str, list[float]] = {name: [] for name in SIZES}

    def add(self, target: Mask, prediction: Mask) -> None:
        """(H, W) each, False without a label."""
        if not (target.any() and prediction.any()):
            return
        labelled, predicted = measure_mask(target), measure_mask(prediction)
        if labelled.cracks and predicted.cracks:
            for name, ratios in self._ratios.items():
                ratios.append(getattr(predicted, name) / getattr(labelled, name))

    def summary(self) -> dict[str, Any]:
        """JSON-able: number of images, and of each size median and 5th and 95th percentile of predicted by labelled."""
        found: dict[str, Any] = {"images": len(self._ratios[SIZES[0]])}
        if found["images"]:
            for name, ratios in self._ratios.items():
                low, median, high = np.quantile(ratios, [0.05, 0.5, 0.95])
                found[name] = {"median": float(median), "p5": float(low), "p95": float(high)}
        return found


def size_lines(sizes: dict[str, Any]) -> list[str]:
    """`summary` in words, a line a size."""
    if not sizes["images"]:
        return ["size of cracks: no image has cracks both labelled and predicted"]
    lines = [f"predicted by labelled, median (5 to 95 %) over {sizes['images']} images:"]
    for name in SIZES:
        ratio = sizes[name]
        lines.append(f"{name:21} {ratio['median']:8.2f} ({ratio['p5']:.2f} to {ratio['p95']:.2f})")
    return lines
