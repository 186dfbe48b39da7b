"""Does a 95 % interval hold the true difference 95 times in 100? `python -m experiments.statistics.coverage`

Sets of images and trainings are drawn from a known truth, and each scheme's interval is asked whether it holds it.
Beside ours: Hillis 2007; a t interval over the seeds alone; a bootstrap of images alone; a percentile bootstrap of
images and seeds. `effects`: differences of an image are the sum of normal effects of seed, image and their
interaction, standard deviations as named. `photos`: seed, photo, image, and image with seed, of images that are crops
of photos. `iou`: pooled crack IoU of two models on images of very unequal crack area. `AP`: two detectors, one class;
seeds and images shift the scores of right detections.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from experiments.metrics.average_precision import Matches, Ranking
from experiments.statistics.interval import Interval, effective_number, image_samples, interval

Floats = NDArray[np.float64]
SAMPLES, RUNS = 200, 4000
# Test images of each of DeepCrack's photos: 237 of 60.
CROPS = (23, 15, 12, 11, 11, 9, 8, 8, 7, 7, *[6] * 5, *[5] * 3, *[4] * 3, *[3] * 9, *[2] * 12, *[1] * 18)


class Experiment(NamedTuple):
    """One experiment: differences of the seeds (seeds,), on samples of images (samples, seeds), and the true one."""

    values: Floats
    resampled: Floats
    images: float
    truth: float


Scenario = Callable[[np.random.Generator], Experiment]


def effects(seeds: int, images: int, seed: float, image: float, both: float) -> Scenario:
    """Normal effects of these standard deviations around a true difference of 0."""

    def draw(rng: np.random.Generator) -> Experiment:
        d = rng.normal(0, seed, (seeds, 1)) + rng.normal(0, image, images) + rng.normal(0, both, (seeds, images))
        return Experiment(d.mean(axis=1), _samples(images) @ d.T / images, images, 0.0)

    return draw


def crops(seeds: int, seed: float, photo: float, image: float, both: float) -> Scenario:
    """As `effects`, of images that are crops of photos, as unequal in number as DeepCrack's."""
    own = np.repeat(np.arange(len(CROPS)), CROPS)
    number = effective_number(own)

    def draw(rng: np.random.Generator) -> Experiment:
        shared = rng.normal(0, photo, len(CROPS))[own] + rng.normal(0, image, len(own))
        d = rng.normal(0, seed, (seeds, 1)) + shared + rng.normal(0, both, (seeds, len(own)))
        sets = _photo_samples()
        return Experiment(d.mean(axis=1), sets @ d.T / sets.sum(axis=1, keepdims=True), number, 0.0)

    return draw


def iou(seeds: int, images: int, spread: float) -> Scenario:
    """Crack pixels are lognormal (a factor of 2.7), as are misses and false alarms; `spread`: of seeds, in the log."""

    def counts(rng: np.random.Generator, runs: int, n: int) -> tuple[Floats, Floats]:
        """(2, runs, n) hits and union."""
        crack, hard = rng.lognormal(7, 1, n), rng.normal(0, 0.5, n)
        wrong = hard + rng.normal(0, 0.4, (2, runs, n)) + rng.normal(0, spread, (2, runs, 1))
        wrong += np.array([0.0, -0.1])[:, None, None]
        missed, false = crack / (1 + np.exp(1.5 - wrong)), crack / (1 + np.exp(1.7 - wrong))
        return crack - missed, crack + false

    @cache
    def truth() -> float:
        rng = np.random.default_rng(1)
        parts = [counts(rng, 400, 2000) for _ in range(20)]
        hits, union = (sum(part[k].sum(axis=2) for part in parts) for k in (0, 1))
        return float(np.subtract(*(hits / union).mean(axis=1)))

    def draw(rng: np.random.Generator) -> Experiment:
        hits, union = counts(rng, seeds, images)
        sampled = np.einsum("bi,msi->mbs", _samples(images), hits) / np.einsum("bi,msi->mbs", _samples(images), union)
        return Experiment(np.subtract(*(hits.sum(axis=2) / union.sum(axis=2))), np.subtract(*sampled), images, truth())

    return draw


def ap(seeds: int, images: int, spread: float) -> Scenario:
    """One to six objects an image and four false alarms; `spread`: of seeds, in standard deviations of the scores."""

    def curve(rng: np.random.Generator, better: float, objects: NDArray[np.int64], hard: Floats) -> Matches:
        n, own = len(objects), np.repeat(np.arange(len(objects)), objects)
        seen = rng.random(len(own)) < 0.85
        score = np.concatenate([rng.normal(1 + better + hard[own]), rng.normal(0, 1, 4 * n)])
        image = np.concatenate([own, np.repeat(np.arange(n), 4)])
        right = np.concatenate([seen, np.zeros(4 * n, dtype=bool)])
        order = np.lexsort((-score, image))
        hits, ones = right[order][None], np.ones(len(order), dtype=bool)
        return Matches(image[order], np.zeros(len(order), np.int64), score[order], hits, hits, ones, objects)

    def runs(rng: np.random.Generator, count: int, n: int, sets: NDArray[np.int64]) -> Floats:
        """(sets, count) differences of AP."""
        objects, hard = rng.integers(1, 7, n), rng.normal(0, 0.7, n)
        pairs = [[curve(rng, mean + rng.normal(0, spread), objects, hard) for mean in (0.15, 0)] for _ in range(count)]
        return np.stack(
            [np.subtract(*(Ranking(matches).average_precision(sets)[:, 0] for matches in pair)) for pair in pairs],
            axis=1,
        )

    @cache
    def truth() -> float:
        rng = np.random.default_rng(1)
        return float(np.mean([runs(rng, 10, 4000, np.ones((1, 4000), np.int64)) for _ in range(40)]))

    def draw(rng: np.random.Generator) -> Experiment:
        sets = np.concatenate([np.ones((1, images), np.int64), _samples(images)])
        found = runs(rng, seeds, images, sets)
        return Experiment(found[0], found[1:], images, truth())

    return draw


SCENARIOS: dict[str, Scenario] = {
    **{
        f"effects {seed:g}, {image:g}, {both:g}; {seeds} seeds": effects(seeds, 100, seed, image, both)
        for seeds in (3, 5)
        for seed, image, both in ((0, 1, 0.3), (0, 0, 1), (0, 0.3, 1), (0.1, 1, 1), (0.2, 1, 1), (0.5, 1, 1), (1, 1, 1))
    },
    **{
        f"photos {seed:g}, {photo:g}, {image:g}, {both:g}; 3 seeds": crops(3, seed, photo, image, both)
        for seed, photo, image, both in (
            (0, 1, 0.5, 0.3),
            (0.05, 1, 0.5, 0.3),
            (0.2, 1, 1, 0.5),
            (0.5, 1, 1, 1),
            (0, 0, 1, 0.3),
            (0, 0.5, 1, 1),
        )
    },
    **{f"iou, seeds {spread:g}; 3 seeds": iou(3, 100, spread) for spread in (0, 0.05, 0.2)},
    **{f"AP, seeds {spread:g}; 3 seeds": ap(3, 80, spread) for spread in (0, 0.1, 0.3)},
}


def coverage(scenario: Scenario, runs: int, seed: int = 0) -> dict[str, float]:
    """Scheme -> share of `runs` intervals that hold the truth."""
    rng = np.random.default_rng(seed)
    held: dict[str, int] = {}
    for _ in range(runs):
        drawn = scenario(rng)
        for name, (low, high) in _schemes(drawn, rng):
            held[name] = held.get(name, 0) + (low <= drawn.truth <= high)
    return {name: count / runs for name, count in held.items()}


def line(name: str, runs: int = RUNS) -> dict[str, float]:
    """`coverage` of one of SCENARIOS as the table has it: AP, which takes longer, with a quarter of the runs."""
    return coverage(SCENARIOS[name], runs // 4 if name.startswith("AP") else runs, list(SCENARIOS).index(name))


def _schemes(drawn: Experiment, rng: np.random.Generator) -> Iterator[tuple[str, tuple[float, float]]]:
    ours = interval(drawn.values, drawn.resampled, drawn.images)
    assert isinstance(ours, Interval)
    yield "ours", (ours.low, ours.high)
    seeds, mean = len(drawn.values), float(drawn.values.mean())
    over_seeds, over_images = drawn.values.var(ddof=1) / seeds, np.cov(drawn.resampled, rowvar=False)
    common = max(0.0, (over_images.sum() - np.trace(over_images)) / (seeds * (seeds - 1)))
    both = over_seeds + common
    for name, variance, freedom in (
        ("Hillis", both, (seeds - 1) * (both / over_seeds) ** 2),
        ("seeds, t", over_seeds, seeds - 1),
        ("images", over_images.mean(), 1e9),
    ):
        half = stdtrit(freedom, 0.975) * variance**0.5
        yield name, (mean - half, mean + half)
    chosen = rng.integers(0, seeds, drawn.resampled.shape)
    low, high = np.quantile(np.take_along_axis(drawn.resampled, chosen, axis=1).mean(axis=1), (0.025, 0.975))
    yield "percentile", (low, high)


@cache
def _samples(images: int) -> NDArray[np.int64]:
    return image_samples(np.arange(images), samples=SAMPLES)


@cache
def _photo_samples() -> NDArray[np.int64]:
    return image_samples(np.repeat(np.arange(len(CROPS)), CROPS), samples=SAMPLES)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.statistics.coverage", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=RUNS, help=f"experiments a line (default: {RUNS}); for AP a quarter"
    )
    runs = parser.parse_args().runs
    print_shares((name, line(name, runs)) for name in SCENARIOS)


def print_shares(lines: Iterable[tuple[str, dict[str, float]]]) -> None:
    """A Markdown table of a scenario's shares a line, by scheme."""
    for index, (name, shares) in enumerate(lines):
        if index == 0:
            print("| Truth | " + " | ".join(shares) + " |\n|---" + "|--:" * len(shares) + "|")
        print(f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
