"""What a comparison found: the tables of verdicts."""

from collections.abc import Collection
from statistics import mean

from experiments.report.comparison import Comparison
from experiments.report.tables.quality import quality_table
from experiments.report.tables.table import Table, number, seeds, size_text, span
from experiments.statistics import Interval, Verdict
from segplug.page.render import Entry

_JUDGED = ["Difference", "95 % interval", "p (Holm)", "Detectable", "Verdict"]


def quality_tables(comparison: Comparison) -> list[Table]:
    """Verdicts and metrics, on all images and on every part of them that the spec names."""
    parts = [(verdict_table(x), control_table(x), quality_table(x)) for x in (comparison, *comparison.subsets)]
    return [table for tables in parts for table in tables if table]


def verdict_table(comparison: Comparison) -> Table:
    """One line a model: headline metric, difference to the baseline, each with its interval, p and verdict."""
    metric = comparison.headline
    lines = [_line(comparison, label, metric) for label in comparison.labels]
    notes = [*_notes(comparison, comparison.verdicts.values()), *_told_apart(comparison)]
    return Table(f"Verdict on {metric}, {comparison.split}", ["Model", metric, "95 % interval", *_JUDGED], lines, notes)


def control_table(comparison: Comparison) -> Table | None:
    """One line a model and control of it (see `Comparison.controlled`); None without any."""
    if not comparison.controlled:
        return None
    metric = comparison.headline
    lines = [
        [
            Entry(label),
            Entry(_mean(comparison, label, metric)),
            Entry(stock, _nearness(comparison, stock)),
            Entry(_mean(comparison, stock, metric)),
            *_judged(comparison.differences(label, metric, stock), verdict),
        ]
        for (label, stock), verdict in comparison.controlled.items()
    ]
    caption = f"Verdict on {metric} against controls, {comparison.split}"
    columns = ["Model", metric, "Control", metric, *_JUDGED]
    return Table(caption, columns, lines, _notes(comparison, comparison.controlled.values()))


def _line(comparison: Comparison, label: str, metric: str) -> list[Entry]:
    own = comparison.statistics.interval(label, metric) if comparison.values(label, metric) else ""
    size = comparison.size_ratio(label)
    small = [seeds(comparison, label), *([size_text(size)] if size else [])]
    small += _start(comparison, label)
    entries = [
        Entry(label, "; ".join(small)),
        Entry(_mean(comparison, label, metric)),
        Entry(span(own)) if isinstance(own, Interval) else Entry("-", own),
    ]
    if label == comparison.baseline:
        return entries + [Entry("-")] * len(_JUDGED)
    return [*entries, *_judged(comparison.differences(label, metric), comparison.verdicts[label])]


def _judged(apart: list[float], verdict: Verdict) -> list[Entry]:
    """Difference, interval, p, the detectable difference and the verdict."""
    found, p, unseen = verdict.difference, verdict.p_holm, None if verdict.resolved else verdict.detectable
    return [
        Entry(number(mean(apart), found, "+") if apart else "-"),
        Entry(span(found, "+") if found else "-"),
        Entry("-" if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"),
        Entry("-" if unseen is None else number(unseen, found)),
        Entry(verdict.word, verdict.reason),
    ]


def _mean(comparison: Comparison, label: str, metric: str) -> str:
    values = comparison.values(label, metric).values()
    return number(mean(values), comparison.statistics.interval(label, metric)) if values else "-"


def _nearness(comparison: Comparison, control: str) -> str:
    """How near a control comes to its model, as small print."""
    row = comparison.of(control)[0]
    if matched := row.get("matched"):
        return f"{matched['by']} {matched['off']:+.1%}"
    return "; ".join(_start(comparison, control))


def _start(comparison: Comparison, label: str) -> list[str]:
    """The checkpoint that training started from, where it did."""
    init = comparison.of(label)[0].get("init")
    if init is None:
        return []
    preserved = ", function preserved" if init["preserve"] else ""
    return [f"from {init['file']}, {init['fresh'] / init['params']:.1%} fresh{preserved}"]


def _told_apart(comparison: Comparison) -> list[str]:
    """How many of all pairs of models have a verdict, not only those with the baseline."""
    tested = [verdict for verdict in comparison.every_pair.values() if verdict.p_holm is not None]
    if len(comparison.labels) < 3 or not tested:
        return []
    apart = [f"{a} and {b}" for (a, b), verdict in comparison.every_pair.items() if verdict.resolved]
    listed = f": {'; '.join(apart)}" if apart else ""
    return [f"Of all {len(tested)} pairs of models, {len(apart)} are resolved (Holm over all of them){listed}."]


def _notes(comparison: Comparison, verdicts: Collection[Verdict]) -> list[str]:
    tested = [verdict for verdict in verdicts if verdict.p_holm is not None]
    notes = [
        "Better, worse: a difference that chance, of images and of seeds, rarely makes (0 outside the interval and p "
        "below 0.05). Everything else is insufficient evidence; so are fewer than three shared seeds."
    ]
    if comparison.margin is not None:
        notes.append(f"Equivalent: not more than {comparison.margin:g} apart, the margin that the spec names.")
    if not tested:
        return notes
    count = len(tested)
    holm = (
        f"p is corrected for the {count} comparisons of this table (Holm 1979); intervals are not, each stands alone."
        if count > 1
        else "One comparison in this table: Holm's correction leaves p as it is."
    )
    drawn = "images" if comparison.photos is None else "photos, each with all of its images"
    return [
        *notes,
        "Detectable: the smallest true difference that would have got a verdict in 80 % of such comparisons.",
        f"Intervals: 95 %, t, variance between seeds plus covariance of the seeds over 1000 bootstrap samples of the "
        f"{drawn}, paired by image and seed (docs/comparison.md). p takes the variance between seeds from all models. "
        f"{holm}",
    ]
