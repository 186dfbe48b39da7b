"""A row's metrics from the images of a cell: of all of them, and of the parts that a spec names."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.evidence.evidence import ImageSet
from experiments.metrics.coco_ap import CLASS_AP


def score_images(images: ImageSet, keep: NDArray[np.bool_] | None = None) -> dict[str, dict[str, float | None]]:
    """A row's `metrics` and `per_class` (AP by class, of detection), of all images or those kept, (images,)."""
    chosen = np.ones(len(images.names), dtype=bool) if keep is None else keep
    scores = {name: float(values[0]) for name, values in images.scores(chosen[None].astype(np.int64)).items()}
    numbers = {name: None if np.isnan(value) else value for name, value in scores.items()}
    return {
        "metrics": {name: value for name, value in numbers.items() if not name.startswith(CLASS_AP)},
        "per_class": {n.removeprefix(CLASS_AP): value for n, value in numbers.items() if n.startswith(CLASS_AP)},
    }


def score_subsets(images: ImageSet, excluded: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Name of the part -> the row's entry: images left out, number of those left, and their `score_images`."""
    parts = {}
    for subset, names in excluded.items():
        keep = np.array([name not in names for name in images.names])
        parts[subset] = {"excluded": list(names), "images": int(keep.sum()), **score_images(images, keep)}
    return parts
