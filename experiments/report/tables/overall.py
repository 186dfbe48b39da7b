"""Several data sets of one spec, in one table beside those of each."""

from collections.abc import Sequence

from experiments.report.comparison import Comparison
from experiments.report.tables.table import Table, decimals
from experiments.statistics.aggregate import Aggregate, aggregate
from segplug.page.render import Entry


def overall_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """One for each spec that has results on more than one data set, of models with enough seeds on each."""
    tables = []
    for name in dict.fromkeys(comparison.rows[0]["name"] for comparison in comparisons):
        own = [comparison for comparison in comparisons if comparison.rows[0]["name"] == name]
        answers = overall(own)
        if answers:
            tables.append(_table(own, answers))
    return tables


def overall(comparisons: Sequence[Comparison]) -> dict[str, Aggregate]:
    """Model -> its answer over the data sets, where it is judged on two or more of them."""
    if len({(c.headline, c.baseline) for c in comparisons}) != 1 or len(comparisons) < 2:
        return {}
    answers = {}
    for label in comparisons[0].labels:
        if label == comparisons[0].baseline:
            continue
        pairs = [c.statistics.runs(label, c.baseline, c.headline) for c in comparisons]
        known = [runs for runs in pairs if runs is not None]
        if len(known) > 1:
            answers[label] = aggregate(known)
    return answers


def _table(comparisons: Sequence[Comparison], answers: dict[str, Aggregate]) -> Table:
    lines = [
        [
            Entry(label, f"{found.datasets} data sets"),
            Entry(*_shown(found.change, found.change_ends, "+", 100, " %")),
            Entry(*_shown(found.improvement, found.improvement_ends, "", 1, "")),
        ]
        for label, found in answers.items()
    ]
    metric, first = comparisons[0].task.headline_name, comparisons[0]
    notes = [
        f"Against {first.baseline}, over {', '.join(c.rows[0]['dataset'] for c in comparisons)}. Change: interquartile "
        f"mean over data sets and seeds of the relative change in {metric}. Better run: probability that a run of the "
        "model beats one of the baseline, mean over data sets (Agarwal et al. 2021). Small print: 95 % of 1000 draws "
        "of seeds and images; short with three seeds, so that verdicts stand in the tables of each data set."
    ]
    return Table(f"{first.rows[0]['name']} over all data sets", ["Model", "Change", "Better run"], lines, notes)


def _shown(value: float, ends: tuple[float, float], sign: str, times: float, unit: str) -> tuple[str, str]:
    low, high = (times * end for end in ends)
    digits = decimals(low, high)
    return f"{times * value:{sign}.{digits}f}{unit}", f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]{unit}"
