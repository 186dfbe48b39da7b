"""The per-image files of a finished cell, as one thing for both tasks: scores of any samples of its images."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.cells.record import read_json
from experiments.spec.strict import SpecError

__all__ = ["CrackImages", "ImageSet", "open_images"]


class ImageSet(Protocol):
    """Scored images of one cell."""

    @property
    def names(self) -> list[str]: ...

    def scores(self, multiplicities: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """(sets, images): how often each set holds each image -> metric -> (sets,)."""
        ...


class CrackImages:
    """segplug's contributions."""

    def __init__(self, path: Path) -> None:
        from segplug.errors import SegplugError
        from segplug.metrics import Contributions

        try:
            self._every = Contributions.load(path)
        except SegplugError as error:
            raise SpecError(str(error)) from error
        self.names = [str(name) for name in self._every.names]

    def scores(self, multiplicities: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        sets = self._every.scores_of_sets(multiplicities)
        return {name: np.array([scores[name] for scores in sets], dtype=np.float64) for name in sets[0]}


def open_images(row: dict[str, Any], folder: Path) -> ImageSet | None:
    """The images of a cell's row; None where its `folder` lacks their files. Raises SpecError on unreadable ones."""
    if row["task"] == "segment":
        path = folder / row["files"].get("contributions", "")
        return CrackImages(path) if path.is_file() else None
    paths = [folder / name for name in row["files"].get("per_image", [])]
    if len(paths) != 2 or not all(path.is_file() for path in paths):
        return None
    from experiments.metrics.coco_resampled import CocoImages

    return CocoImages(*(read_json(path, "the cell's row.json") for path in paths))
