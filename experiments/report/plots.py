"""Plots of a comparison as PNG bytes, in a light and a dark version."""

import csv
import io
import math
from collections.abc import Callable
from statistics import mean
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.report.rows import Comparison
from experiments.report.tables import HEADLINE, METRICS

__all__ = ["PALETTE", "Plot", "bars", "has_curves", "latency", "loss", "monitor", "render", "size"]

Plot = Callable[[Comparison], Figure]

# Okabe and Ito: told apart by colour-blind readers, and on light and dark ground.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
_HEIGHT = 3.6  # inches
_MONITORS = {
    "detect": ("metrics/mAP50-95(B)", "val mAP50-95 (Ultralytics' own)"),
    "segment": ("val_iou_crack", "crack IoU on validation images"),
}


def render(plot: Plot, comparison: Comparison, dark: bool) -> bytes:
    """Draw in one theme; the dark one is transparent."""
    ink = "#d8dee9" if dark else "#1f2933"
    style: Any = {
        "figure.facecolor": "none" if dark else "white",
        "axes.facecolor": "none",
        "savefig.facecolor": "auto",
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": ink,
        "axes.titlesize": 10,
        "axes.titlecolor": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": ink,
        "grid.alpha": 0.12,
        "legend.frameon": False,
    }
    buffer = io.BytesIO()
    with matplotlib.rc_context(style):
        figure = plot(comparison)
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def bars(comparison: Comparison) -> Figure:
    """Every metric of every model, seeds as dots; beside each bar the difference to the baseline."""
    metrics = [m for m in METRICS[comparison.task] if any(comparison.values(x, m) for x in comparison.labels)]
    lines = len(metrics) * len(comparison.labels)
    figure, axes = _panel(height=max(_HEIGHT, 0.6 + 0.2 * lines))
    thick = 0.8 / len(comparison.labels)
    for index, label in enumerate(comparison.labels):
        for place, metric in enumerate(metrics):
            values = list(comparison.values(label, metric).values())
            if not values:
                continue
            y = place + (index - (len(comparison.labels) - 1) / 2) * thick
            length = mean(values)
            axes.barh(y, length, thick * 0.9, color=_colour(index), label=label if place == 0 else None)
            if len(values) > 1:
                axes.plot(values, [y] * len(values), ".", color="white", markersize=3)
            differences = comparison.differences(label, metric)
            text = f"{length:.3f}"
            if differences and label != comparison.baseline:
                text += f" ({mean(differences):+.3f})"
            axes.annotate(text, (length, y), (3, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_yticks(range(len(metrics)), metrics)
    axes.invert_yaxis()
    axes.set_xlabel("fraction, 0 to 1")
    axes.set_xlim(0, max(0.01, axes.get_xlim()[1]) * 1.25)
    axes.grid(axis="y", visible=False)
    return _legend(figure, axes)


def latency(comparison: Comparison) -> Figure:
    """Headline metric against latency; one point a seed."""
    return _against(comparison, "latency_ms", 1.0, "latency, ms (fused, batch 1)")


def size(comparison: Comparison) -> Figure:
    """Headline metric against parameters; one point a seed."""
    return _against(comparison, "params", 1e6, "parameters, millions")


def loss(comparison: Comparison) -> Figure:
    """Training loss over epochs."""
    return _over_epochs(comparison, "loss", "training loss")


def monitor(comparison: Comparison) -> Figure:
    """The figure that was watched after each epoch. It is not the reported metric."""
    return _over_epochs(comparison, *_MONITORS[comparison.task])


def has_curves(comparison: Comparison) -> bool:
    """Rows may be kept without the tables of their epochs."""
    return any(_read_curves(comparison, row) for row in comparison.rows)


def _against(comparison: Comparison, key: str, scale: float, name: str) -> Figure:
    metric = HEADLINE[comparison.task]
    figure, axes = _panel()
    for index, label in enumerate(comparison.labels):
        rows = [row for row in comparison.of(label) if row["cost"] and row["metrics"].get(metric) is not None]
        xs, ys = [row["cost"][key] / scale for row in rows], [row["metrics"][metric] for row in rows]
        axes.plot(xs, ys, "o", color=_colour(index), markersize=8, label=label)
    axes.set_xlabel(name)
    axes.set_ylabel(metric)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.15)
    axes.set_ylim(0, max(0.01, axes.get_ylim()[1]) * 1.15)
    return _legend(figure, axes)


def _over_epochs(comparison: Comparison, column: str, name: str) -> Figure:
    """Thin lines are seeds, the thick one their mean."""
    figure, axes = _panel()
    for index, label in enumerate(comparison.labels):
        tables = [_read_curves(comparison, row) for row in comparison.of(label)]
        lines = [{epoch: v[column] for epoch, v in table.items() if column in v} for table in tables]
        for line in lines if len(lines) > 1 else []:
            axes.plot(list(line), list(line.values()), color=_colour(index), linewidth=0.8, alpha=0.5)
        shared = sorted(set.intersection(*(set(line) for line in lines)))
        middle = [mean(line[epoch] for line in lines) for epoch in shared]
        dots = "o" if len(shared) < 3 else None
        axes.plot(shared, middle, color=_colour(index), linewidth=1.8, marker=dots, label=label)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    axes.set_xlim(left=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _legend(figure, axes)


def _read_curves(comparison: Comparison, row: dict[str, Any]) -> dict[int, dict[str, float]]:
    """Epoch -> finite values; `loss` is the sum of the training losses. A repeated epoch counts as trained last."""
    path = comparison.folders[row["cell"]] / row["files"].get("curves", "")
    table: dict[int, dict[str, float]] = {}
    if not path.is_file():
        return table
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            values = {key.strip(): float(value) for key, value in line.items() if key and value not in ("", None)}
            losses = [value for key, value in values.items() if key == "train_loss" or key.startswith("train/")]
            values["loss"] = sum(losses) if losses else math.nan
            table[round(values["epoch"])] = {key: value for key, value in values.items() if math.isfinite(value)}
    return table


def _panel(height: float = _HEIGHT) -> tuple[Figure, Any]:
    figure = Figure(figsize=(4.6, height), layout="constrained")
    return figure, figure.subplots()


def _legend(figure: Figure, axes: Any) -> Figure:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", ncols=1)
    return figure


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]
