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

    First models that diverged on any seed, or have no interval, are not tested and do not count in the correction.
    """
    found = {pair: statistics.difference(*pair, metric) for pair in pairs if pair[0] not in diverged}
    tested = {pair: answer for pair, answer in found.items() if isinstance(answer, Interval)}
    corrected = dict(zip(tested, holm([answer.p for answer in tested.values()]), strict=True))
    result = {pair: Verdict(DIVERGED, "", None, None) for pair in pairs if pair[0] in diverged}
    for pair, answer in found.items():
        if isinstance(answer, str):
            result[pair] = Verdict(INSUFFICIENT, answer, None, None)
        elif corrected[pair] < 1 - LEVEL:
            result[pair] = Verdict("better" if answer.value > 0 else "worse", "", answer, corrected[pair])
        else:
            reason = "0 lies in the interval" if answer.p >= 1 - LEVEL else f"not after Holm, {len(tested)} comparisons"
            result[pair] = Verdict(INSUFFICIENT, reason, answer, corrected[pair])
    return result


def holm(p: Sequence[float]) -> list[float]:
    """p values so corrected that the chance of any false one below 0.05 is at most 0.05.

    Holm 1979, https://www.jstor.org/stable/4615733: the k-th smallest of m times m - k + 1, never below the one before.
    """
    corrected, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        highest = max(highest, min(1.0, p[index] * (len(p) - rank)))
        corrected[index] = highest
    return corrected
