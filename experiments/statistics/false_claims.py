"""How often does a table of models without any true difference call one better or worse? At most 5 times in 100.

`python -m experiments.statistics.false_claims` draws such tables: values of an image are the sum of normal effects of
seed, image and their interaction, of a standard deviation each, for every model of its own. `wild`: how many times as
much the last model's seeds differ. Beside ours, p from the pair's own seeds alone.
"""

import argparse
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.statistics.coverage import print_shares
from experiments.statistics.interval import LEVEL, Interval, SeedSpread, image_samples, interval, seed_spread
from experiments.statistics.verdict import holm

Floats = NDArray[np.float64]
IMAGES, SAMPLES, RUNS = 100, 200, 4000


class NullTable(NamedTuple):
    """A table of a baseline and as many models as comparisons, and its effects' standard deviations."""

    comparisons: int
    seeds: int
    seed: float
    image: float
    both: float
    wild: float = 1.0

    def __str__(self) -> str:
        wild = f", wild {self.wild:g}" if self.wild != 1 else ""
        models = f"{self.comparisons} model{'' if self.comparisons == 1 else 's'}"
        return f"{models}, {self.seeds} seeds; {self.seed:g}, {self.image:g}, {self.both:g}{wild}"


SCENARIOS = [
    NullTable(1, 3, 0.5, 1, 1),
    NullTable(6, 3, 0, 1, 0.3),
    NullTable(6, 3, 0.1, 1, 1),
    NullTable(6, 3, 0.5, 1, 1),
    NullTable(6, 3, 1, 1, 1),
    NullTable(6, 3, 0.2, 1, 1, wild=5),
    NullTable(6, 3, 1, 1, 1, wild=5),
    NullTable(12, 3, 0.5, 1, 1),
    NullTable(6, 5, 0.5, 1, 1),
]


def false_claims(scenario: NullTable, runs: int, seed: int = 0) -> dict[str, float]:
    """Scheme -> share of `runs` tables with at least one verdict other than insufficient evidence."""
    rng, sets = np.random.default_rng(seed), image_samples(np.arange(IMAGES), samples=SAMPLES)
    models, seeds = scenario.comparisons + 1, scenario.seeds
    wild = np.where(np.arange(models) == models - 1, scenario.wild, 1.0)[:, None, None]
    found = {"ours": 0, "own seeds": 0}
    for _ in range(runs):
        drawn = wild * rng.normal(0, scenario.seed, (models, seeds, 1)) + rng.normal(
            0, scenario.image, (models, 1, IMAGES)
        )
        drawn = drawn + rng.normal(0, scenario.both, (models, seeds, IMAGES))
        values, resampled = drawn.mean(axis=2), np.einsum("bi,msi->mbs", sets, drawn) / IMAGES
        for scheme, spread in (("ours", seed_spread(values)), ("own seeds", None)):
            found[scheme] += _claims(values, resampled, spread)
    return {scheme: count / runs for scheme, count in found.items()}


def _claims(values: Floats, resampled: Floats, spread: SeedSpread | None) -> bool:
    pairs = [
        interval(values[k] - values[0], resampled[k] - resampled[0], IMAGES, spread) for k in range(1, len(values))
    ]
    known = [answer for answer in pairs if isinstance(answer, Interval)]
    corrected = holm([answer.p for answer in known])
    return any(p < 1 - LEVEL and not x.low <= 0 <= x.high for x, p in zip(known, corrected, strict=True))


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.statistics.false_claims", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"tables a line (default: {RUNS})")
    runs = parser.parse_args().runs
    print_shares((str(scenario), false_claims(scenario, runs, index)) for index, scenario in enumerate(SCENARIOS))


if __name__ == "__main__":
    main()
