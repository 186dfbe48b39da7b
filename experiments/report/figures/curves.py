"""Training curves over seeds: the mean, and the range as a band."""

import math
from statistics import mean

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.cells.epoch_table import read_epochs
from experiments.cells.row import Row
from experiments.report.comparison import Comparison
from experiments.report.figures.intervals import Intervals
from experiments.report.figures.theme import colour, legend, panel

_STYLES = ("-", "--", "-.", ":")


def loss(comparison: Comparison, intervals: Intervals) -> Figure | None:
    """Training loss over epochs."""
    return _over_epochs(comparison, ("loss",), "training loss")


def monitor(comparison: Comparison, intervals: Intervals) -> Figure | None:
    """The figure that was watched after each epoch. It is not the reported metric."""
    return _over_epochs(comparison, comparison.task.monitor, comparison.task.watched)


def _over_epochs(comparison: Comparison, columns: tuple[str, ...], name: str) -> Figure | None:
    figure, axes = panel(len(comparison.labels))
    for index, label in enumerate(comparison.labels):
        tables = [_read_curves(comparison, row) for row in comparison.of(label)]
        lines = [{e: v[name] for e, v in table.items() for name in columns if name in v} for table in tables]
        shared = sorted(set.intersection(*(set(line) for line in lines)))
        if not shared:
            continue
        values = [[line[epoch] for line in lines] for epoch in shared]
        style = _STYLES[index // 2 % len(_STYLES)]
        dots = "o" if len(shared) < 3 else None
        axes.plot(shared, [mean(v) for v in values], style, color=colour(index), lw=1.6, marker=dots, label=label)
        if len(lines) > 1:
            low, high = [min(v) for v in values], [max(v) for v in values]
            axes.fill_between(shared, low, high, color=colour(index), alpha=0.15, linewidth=0)
    if not axes.lines:
        return None
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    axes.set_xlim(left=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return legend(figure, axes)


def _read_curves(comparison: Comparison, row: Row) -> dict[int, dict[str, float]]:
    """Epoch -> finite values; `loss` is the sum of the training losses. A repeated epoch counts as trained last."""
    path = comparison.folders[row["cell"]] / row["files"].get("curves", "")
    table: dict[int, dict[str, float]] = {}
    if not path.is_file():
        return table
    for values in read_epochs(path, "restore it, or delete it: its curves are left out then"):
        losses = [value for key, value in values.items() if key == "train_loss" or key.startswith("train/")]
        values["loss"] = sum(losses) if losses else math.nan
        table[round(values["epoch"])] = {key: value for key, value in values.items() if math.isfinite(value)}
    return table
