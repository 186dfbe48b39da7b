"""Better, worse, equivalent or insufficient evidence, for each pair of models in a table.

Better, worse: an interval without 0, and p below 1 - LEVEL after Holm's correction. Equivalent within a margin that was
named before: not better or worse, and both one-sided tests against the margin (Schuirmann 1987,
https://doi.org/10.1007/BF01068419) are below 1 - LEVEL after the same correction, with the interval inside the margin.
Everything else is insufficient evidence, and then there is the smallest difference that would have been found.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import nctdtrinc, stdtr, stdtrit

from experiments.statistics.compared import Statistics
from experiments.statistics.interval import LEVEL, Interval

BETTER, WORSE, EQUIVALENT = "better", "worse", "equivalent"
INSUFFICIENT, DIVERGED = "insufficient evidence", "diverged (NaN)"
POWER = 0.8
Pair = tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """`p_holm`: `difference.p` after Holm's correction, and `detectable` of it; None without an interval.

    `reason`: of too little evidence, or the margin.
    """

    word: str
    reason: str
    difference: Interval | None = None
    p_holm: float | None = None
    detectable: float | None = None

    @property
    def resolved(self) -> bool:
        return self.word in (BETTER, WORSE, EQUIVALENT)

    def __str__(self) -> str:
        return f"{self.word} ({self.reason})" if self.reason else self.word


def verdicts(
    statistics: Statistics,
    pairs: Sequence[Pair],
    metric: str,
    diverged: Collection[str] = (),
    margin: float | None = None,
) -> dict[Pair, Verdict]:
    """Of each pair's first model against its second, by a metric of which more is better.

    Pairs with a model that diverged on any seed, or without an interval, are not tested and do not count in the
    correction. margin: a difference of at most this is none that matters.
    """
    answers = {pair: _difference(statistics, pair, metric, diverged) for pair in pairs}
    tested = {pair: answer for pair, answer in answers.items() if isinstance(answer, Interval)}
    p = dict(zip(tested, holm([answer.p for answer in tested.values()]), strict=True))
    beside = dict(zip(tested, holm([_p_beyond(answer, margin) for answer in tested.values()]), strict=True))
    return {
        pair: answer if isinstance(answer, Verdict) else _judge(answer, p[pair], beside[pair], len(tested), margin)
        for pair, answer in answers.items()
    }


def _difference(statistics: Statistics, pair: Pair, metric: str, diverged: Collection[str]) -> Interval | Verdict:
    if pair[0] in diverged:
        return Verdict(DIVERGED, "")
    found = f"{pair[1]} diverged" if pair[1] in diverged else statistics.difference(*pair, metric)
    return found if isinstance(found, Interval) else Verdict(INSUFFICIENT, found)


def _judge(answer: Interval, p: float, p_beyond: float, comparisons: int, margin: float | None) -> Verdict:
    seen = detectable(answer, comparisons)
    if p < 1 - LEVEL and not answer.low <= 0 <= answer.high:
        return Verdict(BETTER if answer.value > 0 else WORSE, "", answer, p, seen)
    if margin is not None and p_beyond < 1 - LEVEL and -margin < answer.low and answer.high < margin:
        return Verdict(EQUIVALENT, f"within {margin:g}", answer, p, seen)
    return Verdict(INSUFFICIENT, _why(answer, comparisons), answer, p, seen)


def _why(answer: Interval, comparisons: int) -> str:
    if answer.low <= 0 <= answer.high:
        return "it may be chance: 0 lies inside its interval"
    if answer.p >= 1 - LEVEL:
        return "it may be chance: one model trained again differs as much"
    return f"it may be chance: the largest of {comparisons} differences is often as large"


def detectable(answer: Interval, comparisons: int) -> float:
    """The smallest true difference that a table of so many comparisons finds in POWER of cases, with this one's error.

    By the power of the t-test (noncentral t), of p at the strictest step of Holm's correction and of the interval.
    """
    steps = ((answer.error_freedom, (1 - LEVEL) / comparisons), (answer.freedom, 1 - LEVEL))
    return answer.error * max(
        float(nctdtrinc(freedom, 1 - POWER, stdtrit(freedom, 1 - level / 2))) for freedom, level in steps
    )


def _p_beyond(answer: Interval, margin: float | None) -> float:
    """Of a true difference as large as the margin or larger, in the nearer direction; 1 without a margin."""
    if margin is None or not answer.error:
        return float(margin is None or abs(answer.value) >= margin)
    return float(stdtr(answer.error_freedom, (abs(answer.value) - margin) / answer.error))


def holm(p: Sequence[float]) -> list[float]:
    """p values so corrected that the chance of any false one below 0.05 is at most 0.05.

    Holm 1979, https://www.jstor.org/stable/4615733: the k-th smallest of m times m - k + 1, never below the one before.
    """
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    stepped = np.array(p, dtype=float)[order] * np.arange(len(p), 0, -1)
    corrected[order] = np.maximum.accumulate(np.minimum(1.0, stepped))
    return [float(value) for value in corrected]
