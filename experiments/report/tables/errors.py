"""Which kinds of error the models of a comparison make: means over seeds, and the table of them."""

from statistics import mean

from experiments.metrics.crack_errors import CRACK_ERRORS, EDGE_PX
from experiments.metrics.tide import ERROR_TYPES
from experiments.report.comparison import Comparison
from experiments.report.tables.table import Table
from segplug.page.render import Entry

__all__ = ["error_table", "mean_errors"]

_KINDS = {"detect": ERROR_TYPES, "segment": CRACK_ERRORS}
_NOTES = {
    "detect": "What AP50 would gain if only the errors of one kind were repaired (TIDE, Bolya et al. 2020; boxes, IoU "
    "0.5 and 0.1, 100 detections an image). Localisation: right class, IoU 0.1 to 0.5. Classification: wrong class, "
    "IoU 0.5 or more. Both: wrong in both. Duplicate: the object was found by a better prediction. Background: no "
    "object there. Missed: an object that no prediction was meant for. The costs overlap: they do not sum to 1 - AP50.",
    "segment": "1 - iou_crack in shares of the union of label and prediction, pixels summed over the set. A wrong "
    f"pixel within {EDGE_PX} px of the other mask makes the crack too wide (predicted) or too thin (labelled); any "
    "other is a false alarm or a missed crack.",
}


def mean_errors(comparison: Comparison) -> tuple[list[str], dict[str, dict[str, float]]]:
    """Kinds in order, and label -> kind -> mean over the seeds that recorded it; both empty without any."""
    found: dict[str, dict[str, float]] = {}
    for label in comparison.labels:
        recorded = [row["errors"] for row in comparison.of(label) if row.get("errors")]
        if recorded:
            found[label] = {kind: mean(errors.get(kind, 0.0) for errors in recorded) for kind in recorded[0]}
    return list(_KINDS[comparison.task]) if found else [], found


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
    caption = {"detect": "Error types: AP50 lost to each", "segment": "Error types: share of the union"}[
        comparison.task
    ]
    columns = ["Model", *(kind.replace("_", " ").capitalize() for kind in kinds)]
    notes = [_NOTES[comparison.task], "Means over seeds. Small print: difference to the baseline."]
    return Table(caption, columns, lines, notes)
