"""Intervals of the models of one table, and of their differences to each other, paired by image and seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.statistics.aggregate import Runs
from experiments.statistics.interval import LEAST_SEEDS, Interval, SeedSpread, interval, seed_spread

NO_FILE = "per-image file missing"
CellKey = tuple[str, int]  # label of the model, seed


@dataclass(frozen=True)
class Sampled:
    """One cell on bootstrap samples of the images, the same for every cell: metric -> (samples,), NaN where undefined.

    `images`: how many there are to draw, see `effective_number`.
    """

    metrics: Mapping[str, NDArray[np.float64]]
    images: float


class Statistics:
    """Of the cells of one table.

    values: cell -> metric -> value, where it has one. sampled: its samples, or None; asked only when they are needed.
    """

    def __init__(
        self, values: Mapping[CellKey, Mapping[str, float]], sampled: Callable[[CellKey], Sampled | None]
    ) -> None:
        self._values = values
        self._sampled = sampled

    def interval(self, label: str, metric: str) -> Interval | str:
        """Of the mean over the model's seeds, or the reason why there is none."""
        return self._interval(label, None, self._seeds(label, metric), metric)

    def difference(self, label: str, against: str, metric: str) -> Interval | str:
        """Of the mean, over the seeds that both have, of one model less the other; or the reason why there is none."""
        return self._interval(label, against, self._seeds(label, metric) & self._seeds(against, metric), metric)

    def runs(self, label: str, against: str, metric: str) -> Runs | None:
        """Values and samples of both over the seeds they share; None with too few of these, or without files."""
        seeds = self._seeds(label, metric) & self._seeds(against, metric)
        own, base = (
            self._table(name, seeds, metric) if len(seeds) >= LEAST_SEEDS else None for name in (label, against)
        )
        return None if own is None or base is None else Runs(own[0], base[0], own[1], base[1])

    def _interval(self, label: str, against: str | None, seeds: set[int], metric: str) -> Interval | str:
        if len(seeds) < LEAST_SEEDS:
            shared = "" if against is None else "shared "
            return f"{len(seeds)} {shared}seed{'' if len(seeds) == 1 else 's'}, {LEAST_SEEDS} needed"
        own = self._table(label, seeds, metric)
        if own is None:
            return NO_FILE
        values, resampled, images = own
        if against is None:
            return interval(values, resampled, images)
        base = self._table(against, seeds, metric)
        if base is None:
            return NO_FILE
        return interval(values - base[0], resampled - base[1], images, self._spread(metric))

    def _table(
        self, label: str, seeds: set[int], metric: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], float] | None:
        """(seeds,) values, (samples, seeds) the same on samples of images, and how many images; None without them."""
        cells = [(label, seed) for seed in sorted(seeds)]
        found = [self._sampled(cell) for cell in cells]
        known = [sampled for sampled in found if sampled is not None and metric in sampled.metrics]
        if len(known) < len(cells):
            return None
        values = np.array([self._values[cell][metric] for cell in cells])
        return values, np.stack([sampled.metrics[metric] for sampled in known], axis=1), known[0].images

    def _spread(self, metric: str) -> SeedSpread | None:
        """Over the seeds that all models share which have enough of them; None where these are too few."""
        seeds = {label: self._seeds(label, metric) for label in dict.fromkeys(label for label, _ in self._values)}
        labels = [label for label, own in seeds.items() if len(own) >= LEAST_SEEDS]
        shared = sorted(set.intersection(*(seeds[label] for label in labels)))
        if len(labels) < 2 or len(shared) < 2:
            return None
        return seed_spread(np.array([[self._values[label, seed][metric] for seed in shared] for label in labels]))

    def _seeds(self, label: str, metric: str) -> set[int]:
        return {seed for name, seed in self._values if name == label and metric in self._values[name, seed]}
