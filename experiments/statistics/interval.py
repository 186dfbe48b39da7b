"""A 95 % interval for a mean over seeds, with the chance of other images and of other seeds in it.

Every seed is scored on the same images: seeds and images are crossed. The variance of the mean over seeds is then
V = V_seeds + C (Obuchowski and Rockette 1995, https://doi.org/10.1080/03610919508813243, whose readers are seeds here).
V_seeds: variance of the seeds' values, divided by their number. C: covariance of two seeds' values over samples of the
images (a bootstrap: images are drawn with replacement, the same for every seed and model), which is how far other
images would move all seeds alike; 0 where it comes out negative. The interval is value ± t sqrt(V), with t of nu
degrees of freedom, 1/nu = r/(seeds - 1) + (1 - r)/(images - 1), r = V_seeds/V.

Departs: Hillis 2007 (https://doi.org/10.1002/sim.2532) takes r^2 for r and leaves the images' term out, which covers
too little with three seeds; so does a percentile bootstrap over images and seeds. Found by the simulation in
`experiments.statistics.coverage`; its figures are in docs/comparison.md.

Three seeds agree by luck now and then; the interval is then short, and p far too small for a correction that asks for
less than .01. So p of a difference takes V_seeds from all models of its table, with that estimate's degrees of freedom.
`experiments.statistics.false_claims` shows what that changes.

Images that are crops of one photo are no independent images: photos are drawn, each with all of its images. `images`
is then how many photos of equal size would tell as much (Kish 1965): (sum of n)^2 / (sum of n^2), n images of a photo.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

LEVEL = 0.95
LEAST_SEEDS = 3
SAMPLES = 1000
_LEAST_SHARE = 0.9  # of the samples of images in which the metric exists


@dataclass(frozen=True)
class Interval:
    """`value` between `low` and `high`, by `freedom` degrees of freedom; by the seeds' spread of all models: `error`,
    the standard error, with `error_freedom`, and `p`, two-sided, of a true value of 0.
    """

    value: float
    low: float
    high: float
    freedom: float
    error: float
    error_freedom: float

    @property
    def p(self) -> float:
        if not self.error:
            return float(self.value == 0)
        return float(2 * stdtr(self.error_freedom, -abs(self.value) / self.error))


@dataclass(frozen=True)
class SeedSpread:
    """Variance of one model's value between seeds, taken from several models, with its degrees of freedom."""

    variance: float
    freedom: int


def seed_spread(values: NDArray[np.float64]) -> SeedSpread:
    """From values (models, seeds) of at least two models and seeds: what neither model nor seed explains."""
    models, seeds = values.shape
    rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    freedom = (models - 1) * (seeds - 1)
    return SeedSpread(float((rest**2).sum()) / freedom, freedom)


def image_samples(photos: NDArray[np.int64], samples: int = SAMPLES) -> NDArray[np.int64]:
    """(samples, images): how often each sample holds each image, always the same.

    photos: (images,), the number of each image's photo. As many are drawn as there are, each with all of its images.
    """
    drawn, place = np.unique(photos, return_inverse=True)
    count = len(drawn)
    times = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=samples)
    return np.asarray(times[:, place], dtype=np.int64)


def effective_number(photos: NDArray[np.int64]) -> float:
    """Of photos of equal size that tell as much as these; of images that are photos of their own: their number."""
    _, sizes = np.unique(photos, return_counts=True)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def interval(
    values: NDArray[np.float64], resampled: NDArray[np.float64], images: float, spread: SeedSpread | None = None
) -> Interval | str:
    """From each seed's value (seeds,) and its values on samples of images (samples, seeds); or why there is none.

    images: how many there are to draw, see `effective_number`.

    For the difference of two models both hold differences, seed by seed, and `spread` is that of their table's models.
    NaN: the sample has nothing to measure.
    """
    seeds = len(values)
    if seeds < LEAST_SEEDS:
        return f"{seeds} seed{'' if seeds == 1 else 's'}, {LEAST_SEEDS} needed"
    known = ~np.isnan(resampled).any(axis=1)
    if known.mean() < _LEAST_SHARE:
        return f"undefined in {1 - known.mean():.0%} of the samples of images"
    over_images = np.cov(resampled[known], rowvar=False)
    common = max(0.0, float((over_images.sum() - np.trace(over_images)) / (seeds * (seeds - 1))))
    mean, own = float(values.mean()), float(values.var(ddof=1)) / seeds
    error, freedom = _combined(own, seeds - 1, common, images - 1)
    half, error_freedom = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error, freedom
    if spread is not None:
        error, error_freedom = _combined(2 * spread.variance / seeds, spread.freedom, common, images - 1)
    return Interval(mean, mean - half, mean + half, freedom, error, error_freedom)


def _combined(over_seeds: float, seeds_freedom: int, common: float, images_freedom: float) -> tuple[float, float]:
    """Standard deviation sqrt(V) and its nu."""
    variance = over_seeds + common
    share = over_seeds / variance if variance else 1.0
    return variance**0.5, 1 / (share / seeds_freedom + (1 - share) / max(1.0, images_freedom))
