"""One answer over several data sets: how much better, and how probably better, a model is than the baseline.

Agarwal et al. 2021, https://arxiv.org/abs/2108.13264, section 4: the interquartile mean of all runs' scores, here of
their change relative to the baseline of the same data set and seed, and the probability of improvement, that a run of
the model beats a run of the baseline (ties count half), averaged over data sets.

Departs: each draw of the bootstrap takes other seeds within each data set, as theirs does, and other images too. The
interval is that of percentiles, which is short with three seeds (`experiments.statistics.coverage`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import trim_mean

from experiments.statistics.interval import LEVEL

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Runs:
    """One data set: values of model and baseline (seeds,), and on samples of its images (samples, seeds)."""

    model: Floats
    baseline: Floats
    model_sampled: Floats
    baseline_sampled: Floats


@dataclass(frozen=True)
class Aggregate:
    """`change`: interquartile mean of the relative change; `improvement`: its probability; each with low and high."""

    datasets: int
    change: float
    change_ends: tuple[float, float]
    improvement: float
    improvement_ends: tuple[float, float]


def aggregate(every: Sequence[Runs], seed: int = 0) -> Aggregate:
    """Over at least two data sets. Samples in which a value is undefined or a baseline is 0 are left out."""
    rng = np.random.default_rng(seed)
    samples = min(len(runs.model_sampled) for runs in every)
    changes, improvements = [], []
    for runs in every:
        chosen = rng.integers(0, len(runs.model), (samples, len(runs.model)))
        mine = np.take_along_axis(runs.model_sampled[:samples], chosen, axis=1)
        theirs = np.take_along_axis(runs.baseline_sampled[:samples], chosen, axis=1)
        changes.append(_relative(mine, theirs))
        improvements.append(_better(mine, theirs))
    change, improvement = trim_mean(np.concatenate(changes, axis=1), 0.25, axis=1), np.mean(improvements, axis=0)
    known = np.isfinite(change) & np.isfinite(improvement)
    own = np.concatenate([_relative(runs.model[None], runs.baseline[None]) for runs in every], axis=1)
    better = np.mean([_better(runs.model[None], runs.baseline[None]) for runs in every])
    return Aggregate(
        len(every), float(trim_mean(own[0], 0.25)), _ends(change[known]), float(better), _ends(improvement[known])
    )


def _relative(mine: Floats, theirs: Floats) -> Floats:
    return np.divide(mine, theirs, out=np.full(mine.shape, np.nan), where=theirs > 0) - 1


def _better(mine: Floats, theirs: Floats) -> Floats:
    """(samples, seeds) each -> (samples,): share of all pairs of runs in which the model's is the higher one."""
    apart = mine[:, :, None] - theirs[:, None, :]
    return np.asarray(((apart > 0) + 0.5 * (apart == 0)).mean(axis=(1, 2)))


def _ends(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
