"""Intervals of the models of one table, and of their differences to each other, paired by image and seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.spec.strict import SpecError
from experiments.statistics.image_sets import ImageSet, open_images
from experiments.statistics.interval import LEAST_SEEDS, Interval, SeedSpread, image_samples, interval, seed_spread

__all__ = ["CLASS_AP", "NO_FILE", "Statistics", "row_value"]

NO_FILE, CLASS_AP = "per-image file missing", "AP of "
_CLOSE = 1e-6
_Sampled = dict[str, NDArray[np.float64]]  # metric -> (samples,)


def row_value(row: dict[str, Any], metric: str) -> float | None:
    """A row's metric, or its AP of one class under the name `AP of <class>`; None where it has none."""
    value = row["metrics"].get(metric)
    if value is None and metric.startswith(CLASS_AP):
        value = row.get("per_class", {}).get(metric.removeprefix(CLASS_AP))
    return None if value is None else float(value)


class Statistics:
    """Of `rows` of one data set, each cell's files in its folder. Nothing is read before the first question.

    excluded: names of images that the rows' metrics leave out. Raises SpecError, when asked, on files that do not
    belong to their row.
    """

    def __init__(
        self,
        rows: Sequence[dict[str, Any]],
        folders: Mapping[str, Path],
        excluded: Sequence[str] = (),
    ) -> None:
        self._rows = {(str(row["label"]), int(row["seed"])): row for row in rows}
        self._folders = folders
        self._excluded = set(excluded)
        self._sampled: dict[tuple[str, int], _Sampled | None] = {}
        self._names: list[str] | None = None
        self._samples = np.zeros((0, 0), dtype=np.int64)
        self._images = 0

    def interval(self, label: str, metric: str) -> Interval | str:
        """Of the mean over the model's seeds, or the reason why there is none."""
        seeds = self._seeds(label, metric)
        return self._interval([(label, seed) for seed in seeds], None, metric)

    def difference(self, label: str, against: str, metric: str) -> Interval | str:
        """Of the mean, over the seeds that both have, of one model less the other; or the reason why there is none."""
        seeds = sorted(set(self._seeds(label, metric)) & set(self._seeds(against, metric)))
        own, base = ([(name, seed) for seed in seeds] for name in (label, against))
        return self._interval(own, base, metric)

    def _interval(self, own: list[tuple[str, int]], base: list[tuple[str, int]] | None, metric: str) -> Interval | str:
        if len(own) < LEAST_SEEDS:
            shared = "" if base is None else "shared "
            return f"{len(own)} {shared}seed{'' if len(own) == 1 else 's'}, {LEAST_SEEDS} needed"
        values = np.array([row_value(self._rows[cell], metric) for cell in own])
        columns = [self._of(cell) for cell in own]
        if base is not None:
            values = values - np.array([row_value(self._rows[cell], metric) for cell in base])
            columns += [self._of(cell) for cell in base]
        found = [column.get(metric) for column in columns if column is not None]
        resampled = [column for column in found if column is not None]
        if len(resampled) < len(columns):
            return NO_FILE
        table = np.stack(resampled[: len(own)], axis=1)
        if base is not None:
            table = table - np.stack(resampled[len(own) :], axis=1)
        return interval(values, table, self._images, None if base is None else self._spread(metric))

    def _spread(self, metric: str) -> SeedSpread | None:
        """Over the seeds that all models share which have enough of them; None where these are too few."""
        seeds = {label: self._seeds(label, metric) for label in dict.fromkeys(label for label, _ in self._rows)}
        labels = [label for label, own in seeds.items() if len(own) >= LEAST_SEEDS]
        shared = sorted(set.intersection(*(set(seeds[label]) for label in labels)))
        if len(labels) < 2 or len(shared) < 2:
            return None
        values = [[row_value(self._rows[label, seed], metric) for seed in shared] for label in labels]
        return seed_spread(np.array(values, dtype=np.float64))

    def _seeds(self, label: str, metric: str) -> list[int]:
        return sorted(
            seed for name, seed in self._rows if name == label and row_value(self._rows[name, seed], metric) is not None
        )

    def _of(self, cell: tuple[str, int]) -> _Sampled | None:
        if cell not in self._sampled:
            row = self._rows[cell]
            images = open_images(row, self._folders[row["cell"]])
            self._sampled[cell] = None if images is None else self._resample(row, images)
        return self._sampled[cell]

    def _resample(self, row: dict[str, Any], images: ImageSet) -> _Sampled:
        if self._names is None:
            self._names = list(images.names)
            keep = np.array([name not in self._excluded for name in self._names])
            self._images = int(keep.sum())
            self._samples = np.concatenate([keep[None].astype(np.int64), image_samples(len(keep), keep)])
        if self._names != list(images.names):
            raise SpecError(f"{row['cell']}: its per-image file holds other images than its table's; run it again")
        scores = images.scores(self._samples)
        for metric, value in row["metrics"].items():
            whole = scores[metric][0] if metric in scores else value
            if value is not None and not abs(whole - value) <= _CLOSE * max(1.0, abs(value)):
                raise SpecError(
                    f"{row['cell']}: its per-image file gives {metric} {whole:.4f}, its row says {value:.4f}; "
                    "put back the file that belongs to the row, or delete row.json and run the spec again"
                )
        return {metric: column[1:] for metric, column in scores.items()}
