"""Which kinds of error the models of a comparison make: means over seeds, and the table of them."""

from statistics import mean

from experiments.report.comparison import Comparison
from experiments.report.tables.table import Table
from segplug.page.render import Entry


def mean_errors(comparison: Comparison) -> tuple[list[str], dict[str, dict[str, float]]]:
    """Kinds in order, and label -> kind -> mean over the seeds that recorded it; both empty without any."""
    found: dict[str, dict[str, float]] = {}
    for label in comparison.labels:
        recorded = [row["errors"] for row in comparison.of(label) if row.get("errors")]
        if recorded:
            found[label] = {kind: mean(errors.get(kind, 0.0) for errors in recorded) for kind in recorded[0]}
    kinds = dict.fromkeys(kind for errors in found.values() for kind in errors)
    return [kind for kind in kinds if kind not in comparison.task.metrics], found


def error_table(comparison: Comparison) -> Table | None:
    """One line a model, one column a kind, small print: difference of the means to the baseline."""
    kinds, found = mean_errors(comparison)
    if not kinds:
        return None
    base = found.get(comparison.baseline)
    lines = []
    for label, errors in found.items():
        cells = []
        for kind in kinds:
            apart = (
                f"{errors.get(kind, 0.0) - base.get(kind, 0.0):+.3f}" if base and label != comparison.baseline else ""
            )
            cells.append(Entry(f"{errors.get(kind, 0.0):.3f}", apart))
        lines.append([Entry(label, "baseline" if label == comparison.baseline else ""), *cells])
    caption, _, meaning = comparison.task.errors
    columns = ["Model", *(kind.replace("_", " ").capitalize() for kind in kinds)]
    notes = [meaning, "Means over seeds. Small print: difference to the baseline."]
    return Table(caption, columns, lines, notes)
