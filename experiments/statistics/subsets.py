"""Scores of named parts of the evaluation images, from the evaluation of all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.statistics.compared import CLASS_AP
from experiments.statistics.image_sets import ImageSet

__all__ = ["score_subsets"]


def score_subsets(images: ImageSet, excluded: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Name of the part -> the row's entry: images left out, number of those left, metrics and AP by class on them."""
    found = {}
    for subset, names in excluded.items():
        keep = np.array([name not in names for name in images.names])
        scores = {name: values[0] for name, values in images.scores(keep[None].astype(np.int64)).items()}
        numbers = {name: None if np.isnan(value) else float(value) for name, value in scores.items()}
        found[subset] = {
            "excluded": list(names),
            "images": int(keep.sum()),
            "metrics": {name: value for name, value in numbers.items() if not name.startswith(CLASS_AP)},
            "per_class": {n.removeprefix(CLASS_AP): value for n, value in numbers.items() if n.startswith(CLASS_AP)},
        }
    return found
