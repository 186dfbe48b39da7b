"""Better, worse or insufficient evidence, for each model of a table against its baseline."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from experiments.statistics.compared import Statistics
from experiments.statistics.interval import LEVEL, Interval

__all__ = ["DIVERGED", "INSUFFICIENT", "Verdict", "holm", "verdicts"]

INSUFFICIENT, DIVERGED = "insufficient evidence", "diverged (NaN)"


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
    statistics: Statistics, labels: Sequence[str], metric: str, diverged: Collection[str] = ()
) -> dict[str, Verdict]:
    """Of each of `labels`, by a metric of which more is better.

    Models that diverged on any seed, or have no interval, are not tested and do not count in the correction.
    """
    found = {label: statistics.difference(label, metric) for label in labels if label not in diverged}
    tested = {label: answer for label, answer in found.items() if isinstance(answer, Interval)}
    corrected = dict(zip(tested, holm([answer.p for answer in tested.values()]), strict=True))
    result = {label: Verdict(DIVERGED, "", None, None) for label in labels if label in diverged}
    for label, answer in found.items():
        if isinstance(answer, str):
            result[label] = Verdict(INSUFFICIENT, answer, None, None)
        elif corrected[label] < 1 - LEVEL:
            result[label] = Verdict("better" if answer.value > 0 else "worse", "", answer, corrected[label])
        else:
            reason = "0 lies in the interval" if answer.p >= 1 - LEVEL else f"not after Holm, {len(tested)} comparisons"
            result[label] = Verdict(INSUFFICIENT, reason, answer, corrected[label])
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
