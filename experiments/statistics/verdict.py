"""Better, worse or insufficient evidence, for each pair of models in a table."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from experiments.statistics.compared import Statistics
from experiments.statistics.interval import LEVEL, Interval

__all__ = ["DIVERGED", "INSUFFICIENT", "Pair", "Verdict", "holm", "verdicts"]

INSUFFICIENT, DIVERGED = "insufficient evidence", "diverged (NaN)"
Pair = tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """`p_holm`: `difference.p` after Holm's correction; None without an interval. `reason`: of too little evidence."""

    word: str
    reason: str
    difference: Interval | None
    p_holm: float | None

    def __str__(self) -> str:
        return f"{self.word} ({self.reason})" if self.reason else self.word


def verdicts(
    statistics: Statistics, pairs: Sequence[Pair], metric: str, diverged: Collection[str] = ()
) -> dict[Pair, Verdict]:
    """Of each pair's first model against its second, by a metric of which more is better.

    It takes both: an interval without 0, and p below 1 - LEVEL after Holm's correction. Pairs with a model
    that diverged on any seed, or without an interval, are not tested and do not count in the correction.
    """
    found = {pair: _difference(statistics, pair, metric, diverged) for pair in pairs if pair[0] not in diverged}
    tested = {pair: answer for pair, answer in found.items() if isinstance(answer, Interval)}
    corrected = dict(zip(tested, holm([answer.p for answer in tested.values()]), strict=True))
    result = {pair: Verdict(DIVERGED, "", None, None) for pair in pairs if pair[0] in diverged}
    for pair, answer in found.items():
        if isinstance(answer, str):
            result[pair] = Verdict(INSUFFICIENT, answer, None, None)
        elif corrected[pair] < 1 - LEVEL and not answer.low <= 0 <= answer.high:
            result[pair] = Verdict("better" if answer.value > 0 else "worse", "", answer, corrected[pair])
        else:
            result[pair] = Verdict(INSUFFICIENT, _why(answer, len(tested)), answer, corrected[pair])
    return result


def _difference(statistics: Statistics, pair: Pair, metric: str, diverged: Collection[str]) -> Interval | str:
    return f"{pair[1]} diverged" if pair[1] in diverged else statistics.difference(*pair, metric)


def _why(answer: Interval, comparisons: int) -> str:
    if answer.low <= 0 <= answer.high:
        return "0 lies in the interval"
    if answer.p >= 1 - LEVEL:
        return "not with the seeds' spread of all models"
    return f"not after Holm, {comparisons} comparisons"


def holm(p: Sequence[float]) -> list[float]:
    """p values so corrected that the chance of any false one below 0.05 is at most 0.05.

    Holm 1979, https://www.jstor.org/stable/4615733: the k-th smallest of m times m - k + 1, never below the one before.
    """
    corrected, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        highest = max(highest, min(1.0, p[index] * (len(p) - rank)))
        corrected[index] = highest
    return corrected
