"""The per-image files of a comparison's cells on bootstrap samples of their images, or of the photos these are of."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.cells.row import Row
from experiments.errors import SpecError
from experiments.evidence import ImageSet
from experiments.spec.photos import photos_by_rule
from experiments.statistics import Sampled, effective_number, image_samples

_CLOSE = 1e-6


class Resampled:
    """Of the cells of one data set; `excluded`: names of images that the rows' metrics leave out.

    groups: of the spec, which images are crops of one photo; files written under it say it themselves.
    """

    def __init__(self, excluded: Sequence[str] = (), groups: str | None = None) -> None:
        self._excluded = set(excluded)
        self._groups = groups
        self._drawn: tuple[list[str], NDArray[np.int64], float] | None = None

    def of(self, row: Row, images: ImageSet | None) -> Sampled | None:
        """None without the images. Raises SpecError on images that do not belong to the row."""
        if images is None:
            return None
        names, samples, number = self._draw(images)
        if names != list(images.names):
            raise SpecError(f"{row['cell']}: its per-image file holds other images than its table's; run it again")
        scores = images.scores(samples)
        for metric, value in row["metrics"].items():
            if value is None:
                continue
            whole = scores[metric][0] if metric in scores else value
            if not abs(whole - value) <= _CLOSE * max(1.0, abs(value)):
                raise SpecError(
                    f"{row['cell']}: its per-image file gives {metric} {whole:.4f}, its row says {value:.4f}; "
                    "put back the file that belongs to the row, or delete row.json and run the spec again"
                )
        return Sampled({metric: column[1:] for metric, column in scores.items()}, number)

    def photos(self, images: ImageSet) -> NDArray[np.int64]:
        """(images that are kept,) the number of each one's photo. Raises SpecError where a list alone could say it."""
        if self._groups is None:
            return np.arange(int(self._keep(images).sum()))
        groups = images.groups
        if groups is None:
            if self._groups.endswith(".csv"):
                raise SpecError(
                    f"groups: {self._groups} was named after these cells ran; give a rule, or run them again"
                )
            groups = list(photos_by_rule(self._groups, images.names).values())
        return np.unique(groups, return_inverse=True)[1][self._keep(images)]

    def _keep(self, images: ImageSet) -> NDArray[np.bool_]:
        return np.array([name not in self._excluded for name in images.names])

    def _draw(self, images: ImageSet) -> tuple[list[str], NDArray[np.int64], float]:
        """Names; all images once, then the samples, the same for every cell, so that differences are paired by image;
        and how many images there are to draw.
        """
        if self._drawn is None:
            keep = self._keep(images)
            photos = self.photos(images)
            drawn = image_samples(photos)
            samples = np.zeros((len(drawn) + 1, len(keep)), dtype=np.int64)
            samples[0, keep], samples[1:, keep] = 1, drawn
            self._drawn = list(images.names), samples, effective_number(photos)
        return self._drawn
