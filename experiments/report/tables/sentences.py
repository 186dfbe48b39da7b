"""What a comparison found, in sentences that a person would say; and whether what was expected came true."""

from datetime import datetime, timezone
from statistics import mean

from experiments.report.comparison import Comparison
from experiments.report.tables.table import number
from experiments.spec.spec import Claim
from experiments.statistics import BETTER, EQUIVALENT, WORSE, Verdict

_MINUTE = "%Y-%m-%d %H:%M UTC"
_GROUP = 3


def sentences(comparison: Comparison) -> list[str]:
    """One for each model against the baseline and against stock at its size; the same on every part of the images.

    Models of which the same is open are one sentence, behind the others: their figures stand in the table.
    """
    lines = []
    for part in (comparison, *comparison.subsets):
        judged = [(label, part.baseline, verdict) for label, verdict in part.verdicts.items()]
        judged += [(*pair, verdict) for pair, verdict in part.controlled.items()]
        undecided: dict[str, list[tuple[str, Verdict]]] = {}
        for label, against, verdict in judged:
            if verdict.difference is not None and not verdict.resolved:
                undecided.setdefault(against, []).append((label, verdict))
        grouped = {against: found for against, found in undecided.items() if len(found) >= _GROUP}
        said = [_sentence(part, *one) for one in judged if one[:2] not in _pairs(grouped)]
        said += [_open(part, against, found) for against, found in grouped.items()]
        lines += [f"On {part.subset}: {line}" if part.subset else line for line in said]
    return lines


def _pairs(grouped: dict[str, list[tuple[str, Verdict]]]) -> set[tuple[str, str]]:
    return {(label, against) for against, found in grouped.items() for label, _ in found}


def _open(comparison: Comparison, against: str, found: list[tuple[str, Verdict]]) -> str:
    apart = [mean(comparison.differences(label, comparison.headline, against)) for label, _ in found]
    intervals = [verdict.difference for _, verdict in found if verdict.difference]
    widest = max(intervals, key=lambda interval: interval.high - interval.low)
    ends = [end for interval in intervals for end in (interval.low, interval.high)]
    unseen = [verdict.detectable for _, verdict in found if verdict.detectable is not None]
    from_to = f"{number(min(apart), widest, '+')} to {number(max(apart), widest, '+')}"
    seen = f" A true difference of {number(max(unseen), widest)} would have been found in 4 of 5." if unseen else ""
    return (
        f"Whether {', '.join(label for label, _ in found[:-1])} or {found[-1][0]} is better or worse than {against} is "
        f"open: differences in {comparison.task.headline_name} of {from_to}, their 95 % intervals within "
        f"{number(min(ends), widest, '+')} to {number(max(ends), widest, '+')}.{seen}"
    )


def verdict_in_one(comparison: Comparison) -> str:
    """What the comparison says of the baseline's rivals, in one sentence."""
    groups: dict[str, list[str]] = {}
    for label, verdict in comparison.verdicts.items():
        word = verdict.word if verdict.resolved or verdict.difference else "not judged"
        groups.setdefault(word if verdict.resolved or word == "not judged" else "open", []).append(label)
    metric, base = comparison.task.headline_name, comparison.baseline
    if not groups:
        return f"{base} stands alone: there is nothing to compare it with."
    better = groups.pop(BETTER, [])
    parts = [
        f"{_listed(better)} better than {base} in {metric}"
        if better
        else f"Nothing is shown to be better than {base} in {metric}"
    ]
    for word, labels in groups.items():
        shown = _listed(labels) if word in (WORSE, EQUIVALENT) or len(labels) < 3 else f"{len(labels)} models are"
        parts.append(f"{shown} {'as good' if word == EQUIVALENT else word}")
    return "; ".join(parts) + "."


def _listed(labels: list[str]) -> str:
    """`a and b are`"""
    return f"{', '.join(labels[:-1])}{' and ' * (len(labels) > 1)}{labels[-1]} {'are' if len(labels) > 1 else 'is'}"


def expectations(comparison: Comparison) -> list[str]:
    """Each line of the spec's `expect` and what became of it; and whether it was said before the first cell started."""
    lines = comparison.rows[0].get("expect", [])
    said = [f"Expected: {line}. {_outcome(comparison, Claim.read(line))}" for line in lines]
    return [*said, _when(comparison)] if said else []


def _when(comparison: Comparison) -> str:
    committed = comparison.rows[0].get("committed")
    starts = [datetime.fromisoformat(row["started"]) for row in comparison.rows if "started" in row]
    first = min(starts).astimezone(timezone.utc) if len(starts) == len(comparison.rows) else None
    started = f"the first cell started {first:{_MINUTE}}" if first else "when the first cell started is unknown"
    if committed is None:
        return f"The spec was not committed when it was run; {started}."
    said = datetime.fromisoformat(committed).astimezone(timezone.utc)
    late = first is not None and said > first
    return f"The spec was committed {said:{_MINUTE}}; {started}{', before that' if late else ''}."


def _outcome(comparison: Comparison, claim: Claim) -> str:
    verdict = comparison.judge([(claim.model, claim.other)])[claim.model, claim.other]
    if verdict.word == claim.word:
        return "It held."
    return f"It did not hold: {verdict}." if verdict.resolved else f"Undecided: {verdict}."


def _sentence(comparison: Comparison, label: str, against: str, verdict: Verdict) -> str:
    metric, name, found = comparison.headline, comparison.task.headline_name, verdict.difference
    apart = comparison.differences(label, metric, against)
    if not apart:
        return f"{label}: no {name} to compare with {against}; {verdict.reason or verdict.word}."
    own, base = (number(mean(comparison.values(x, metric).values()), found) for x in (label, against))
    numbers = f"{name} {own} against {base}, difference {number(mean(apart), found, '+')}"
    if found is None:
        return f"{label} and {against} are not judged: {numbers}; {verdict.reason or verdict.word}."
    numbers += f" (95 % interval {number(found.low, found, '+')} to {number(found.high, found, '+')})"
    if verdict.word == EQUIVALENT:
        return f"{label} is as good as {against} {verdict.reason}: {numbers}."
    if verdict.resolved:
        return f"{label} is {verdict.word} than {against}: {numbers}."
    unseen = number(verdict.detectable or 0.0, found)
    return (
        f"Whether {label} is better or worse than {against} is open: {numbers}; {verdict.reason}. A true difference of "
        f"{unseen} would have been found in 4 of 5 such comparisons."
    )
