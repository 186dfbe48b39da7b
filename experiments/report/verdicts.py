"""What a comparison found: the table of verdicts, and the same in sentences."""

from statistics import mean

from experiments.report.rows import HEADLINE, Comparison
from experiments.report.tables import Cell, Table, quality_table, seeds, span
from experiments.statistics import Interval

__all__ = ["quality_tables", "sentences", "verdict_table"]


def quality_tables(comparison: Comparison) -> list[Table]:
    """Verdicts and metrics, on all images and on every part of them that the spec names."""
    return [table for part in (comparison, *comparison.subsets) for table in (verdict_table(part), quality_table(part))]


def verdict_table(comparison: Comparison) -> Table:
    """One line a model: headline metric, difference to the baseline, each with its interval, p and verdict."""
    metric = HEADLINE[comparison.task]
    columns = ["Model", metric, "95 % interval", "Difference", "95 % interval", "p (Holm)", "Verdict"]
    lines = [_line(comparison, label, metric) for label in comparison.labels]
    return Table(f"Verdict on {metric}, {comparison.split}", columns, lines, _notes(comparison))


def sentences(comparison: Comparison) -> list[str]:
    """What came out for each model, in words; then the same on every part of the images that the spec names."""
    return [
        _sentence(part, label)
        for part in (comparison, *comparison.subsets)
        for label in part.labels
        if label != part.baseline
    ]


def _line(comparison: Comparison, label: str, metric: str) -> list[Cell]:
    values, apart = comparison.values(label, metric), comparison.differences(label, metric)
    own = comparison.statistics.interval(label, metric) if values else ""
    cells = [
        Cell(label, seeds(comparison, label)),
        Cell(f"{mean(values.values()):.3f}" if values else "-"),
        Cell(span(own)) if isinstance(own, Interval) else Cell("-", own),
    ]
    if label == comparison.baseline:
        return cells + [Cell("-")] * 4
    verdict = comparison.verdicts[label]
    found, p = verdict.difference, verdict.p_holm
    return [
        *cells,
        Cell(f"{mean(apart):+.3f}" if apart else "-"),
        Cell(span(found, "+") if found else "-"),
        Cell("-" if p is None else _p(p)),
        Cell(verdict.word, verdict.reason),
    ]


def _sentence(comparison: Comparison, label: str) -> str:
    metric, verdict = HEADLINE[comparison.task], comparison.verdicts[label]
    values, differences = comparison.values(label, metric), comparison.differences(label, metric)
    where = f" {comparison.subset}" if comparison.subset else ""
    if not values or not differences:
        return f"{label}{where}: no {metric} to compare; {verdict}."
    base = mean(comparison.values(comparison.baseline, metric).values())
    interval = f" {span(verdict.difference, '+')}" if verdict.difference else ""
    return (
        f"{label}{where}: {metric} {mean(values.values()):.3f} against {base:.3f} of {comparison.baseline}, "
        f"difference {mean(differences):+.3f}{interval}; {verdict}."
    )


def _notes(comparison: Comparison) -> list[str]:
    tested = [verdict for verdict in comparison.verdicts.values() if verdict.p_holm is not None]
    notes = [
        "Better, worse: a difference to the baseline that chance, of images and of seeds, rarely makes (p below "
        "0.05). Everything else is insufficient evidence; so are fewer than three shared seeds."
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
        f"images, paired by image and seed (docs/comparison.md). {holm}",
    ]


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
