"""What each evaluation image adds to a cell's scores, for both tasks: the scores of any choice of its images."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.cells.record import read_json
from experiments.cells.row import Row
from experiments.metrics.coco_ap import CLASS_AP, CocoImages

__all__ = ["CrackImages", "ImageSet", "name_photos", "open_images", "score_images", "score_subsets"]


class ImageSet(Protocol):
    """Scored images of one cell."""

    @property
    def names(self) -> list[str]: ...

    @property
    def groups(self) -> list[str] | None:
        """Each image's photo, where its file says it."""
        ...

    def scores(self, multiplicities: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """(sets, images): how often each set holds each image -> metric -> (sets,)."""
        ...


class CrackImages:
    """segplug's contributions."""

    def __init__(self, path: Path) -> None:
        from segplug.metrics import Contributions

        self._every = Contributions.load(path)
        self.names = [str(name) for name in self._every.names]
        self.groups = None if self._every.groups is None else [str(group) for group in self._every.groups]

    def scores(self, multiplicities: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        sets = self._every.scores_of_sets(multiplicities)
        return {name: np.array([scores[name] for scores in sets], dtype=np.float64) for name in sets[0]}


def name_photos(path: Path, photos: Mapping[str, str]) -> None:
    """Write into segplug's contributions which photo each image is a crop of."""
    from segplug.metrics import Contributions

    every = Contributions.load(path)
    replace(every, groups=np.array([photos[str(name)] for name in every.names])).save(path)


def open_images(row: Row, folder: Path) -> ImageSet | None:
    """The images of a cell's row; None where its `folder` lacks their files. Raises SpecError on unreadable ones."""
    if row["task"] == "segment":
        path = folder / row["files"].get("contributions", "")
        return CrackImages(path) if path.is_file() else None
    paths = [folder / name for name in row["files"].get("per_image", [])]
    if len(paths) != 2 or not all(path.is_file() for path in paths):
        return None
    return CocoImages(*(read_json(path, "the cell's row.json") for path in paths))


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
    found = {}
    for subset, names in excluded.items():
        keep = np.array([name not in names for name in images.names])
        found[subset] = {"excluded": list(names), "images": int(keep.sum()), **score_images(images, keep)}
    return found
