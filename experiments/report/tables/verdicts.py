"""What a comparison found: the tables of verdicts, and the same in sentences."""

from collections.abc import Collection
from statistics import mean

from experiments.report.comparison import HEADLINE, Comparison
from experiments.report.tables.quality import quality_table
from experiments.report.tables.table import Table, seeds, span
from experiments.statistics import Interval, Verdict
from segplug.page.render import Entry

__all__ = ["equal_size_table", "quality_tables", "sentences", "verdict_table"]


def quality_tables(comparison: Comparison) -> list[Table]:
    """Verdicts and metrics, on all images and on every part of them that the spec names."""
    parts = [(verdict_table(x), equal_size_table(x), quality_table(x)) for x in (comparison, *comparison.subsets)]
    return [table for tables in parts for table in tables if table]


def verdict_table(comparison: Comparison) -> Table:
    """One line a model: headline metric, difference to the baseline, each with its interval, p and verdict."""
    metric = HEADLINE[comparison.task]
    columns = ["Model", metric, "95 % interval", "Difference", "95 % interval", "p (Holm)", "Verdict"]
    lines = [_line(comparison, label, metric) for label in comparison.labels]
    return Table(f"Verdict on {metric}, {comparison.split}", columns, lines, _notes(comparison.verdicts.values()))


def equal_size_table(comparison: Comparison) -> Table | None:
    """One line a model that has a stock model scaled to its size beside it; None without any."""
    if not comparison.at_equal_size:
        return None
    metric = HEADLINE[comparison.task]
    columns = ["Model", metric, "Stock at its size", metric, "Difference", "95 % interval", "p (Holm)", "Verdict"]
    lines = [
        [
            Entry(label),
            Entry(_mean(comparison, label, metric)),
            Entry(stock, _size(comparison, stock)),
            Entry(_mean(comparison, stock, metric)),
            *_judged(comparison.differences(label, metric, stock), verdict),
        ]
        for (label, stock), verdict in comparison.at_equal_size.items()
    ]
    caption = f"Verdict on {metric} at equal size, {comparison.split}"
    return Table(caption, columns, lines, _notes(comparison.at_equal_size.values()))


def sentences(comparison: Comparison) -> list[str]:
    """What came out for each model, in words; then the same on every part of the images that the spec names."""
    return [
        _sentence(part, label, against, verdict)
        for part in (comparison, *comparison.subsets)
        for (label, against), verdict in (
            *(((label, part.baseline), verdict) for label, verdict in part.verdicts.items()),
            *part.at_equal_size.items(),
        )
    ]


def _line(comparison: Comparison, label: str, metric: str) -> list[Entry]:
    own = comparison.statistics.interval(label, metric) if comparison.values(label, metric) else ""
    cells = [
        Entry(label, seeds(comparison, label)),
        Entry(_mean(comparison, label, metric)),
        Entry(span(own)) if isinstance(own, Interval) else Entry("-", own),
    ]
    if label == comparison.baseline:
        return cells + [Entry("-")] * 4
    return [*cells, *_judged(comparison.differences(label, metric), comparison.verdicts[label])]


def _judged(apart: list[float], verdict: Verdict) -> list[Entry]:
    """Difference, interval, p and verdict."""
    found, p = verdict.difference, verdict.p_holm
    return [
        Entry(f"{mean(apart):+.3f}" if apart else "-"),
        Entry(span(found, "+") if found else "-"),
        Entry("-" if p is None else _p(p)),
        Entry(verdict.word, verdict.reason),
    ]


def _mean(comparison: Comparison, label: str, metric: str) -> str:
    values = comparison.values(label, metric).values()
    return f"{mean(values):.3f}" if values else "-"


def _size(comparison: Comparison, stock: str) -> str:
    """How near the scaled model comes, as small print."""
    matched = comparison.of(stock)[0].get("matched")
    return f"{matched['by']} {matched['off']:+.1%}" if matched else ""


def _sentence(comparison: Comparison, label: str, against: str, verdict: Verdict) -> str:
    metric = HEADLINE[comparison.task]
    value, differences = _mean(comparison, label, metric), comparison.differences(label, metric, against)
    where = f" {comparison.subset}" if comparison.subset else ""
    if not differences:
        return f"{label}{where}: no {metric} to compare; {verdict}."
    interval = f" {span(verdict.difference, '+')}" if verdict.difference else ""
    return (
        f"{label}{where}: {metric} {value} against {_mean(comparison, against, metric)} of {against}, "
        f"difference {mean(differences):+.3f}{interval}; {verdict}."
    )


def _notes(verdicts: Collection[Verdict]) -> list[str]:
    tested = [verdict for verdict in verdicts if verdict.p_holm is not None]
    notes = [
        "Better, worse: a difference that chance, of images and of seeds, rarely makes (0 outside the interval and p "
        "below 0.05). Everything else is insufficient evidence; so are fewer than three shared seeds."
    ]
    if not tested:
        return notes
    count = len(tested)
    holm = (
        f"p is corrected for the {count} comparisons of this table (Holm 1979); intervals are not, each stands alone."
        if count > 1
        else "One comparison in this table: Holm's correction leaves p as it is."
    )
    return [
        *notes,
        "Intervals: 95 %, t, variance between seeds plus covariance of the seeds over 1000 bootstrap samples of the "
        "images, paired by image and seed (docs/comparison.md). p takes the variance between seeds from all models. "
        f"{holm}",
    ]


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
