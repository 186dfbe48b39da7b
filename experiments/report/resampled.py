"""The per-image files of a comparison's cells on bootstrap samples of their images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.cells.per_image import ImageSet, open_images
from experiments.cells.row import Row
from experiments.errors import SpecError
from experiments.statistics import Sampled, image_samples

__all__ = ["Resampled"]

_CLOSE = 1e-6


class Resampled:
    """Of the cells of one data set; `excluded`: names of images that the rows' metrics leave out."""

    def __init__(self, excluded: Sequence[str] = ()) -> None:
        self._excluded = set(excluded)
        self._names: list[str] | None = None
        self._samples: NDArray[np.int64] = np.zeros((0, 0), dtype=np.int64)
        self._images = 0

    def of(self, row: Row, folder: Path) -> Sampled | None:
        """None where the cell's folder lacks the files. Raises SpecError on files that do not belong to the row."""
        images = open_images(row, folder)
        if images is None:
            return None
        self._draw(row, images)
        scores = images.scores(self._samples)
        for metric, value in row["metrics"].items():
            if value is None:
                continue
            whole = scores[metric][0] if metric in scores else value
            if not abs(whole - value) <= _CLOSE * max(1.0, abs(value)):
                raise SpecError(
                    f"{row['cell']}: its per-image file gives {metric} {whole:.4f}, its row says {value:.4f}; "
                    "put back the file that belongs to the row, or delete row.json and run the spec again"
                )
        return Sampled({metric: column[1:] for metric, column in scores.items()}, self._images)

    def _draw(self, row: Row, images: ImageSet) -> None:
        """All images once, then the samples; the same for every cell, so that differences are paired by image."""
        if self._names is None:
            self._names = list(images.names)
            keep = np.array([name not in self._excluded for name in self._names])
            self._images = int(keep.sum())
            self._samples = np.concatenate([keep[None].astype(np.int64), image_samples(len(keep), keep)])
        if self._names != list(images.names):
            raise SpecError(f"{row['cell']}: its per-image file holds other images than its table's; run it again")
