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

from experiments.report.rows import Comparison
from experiments.report.tables import HEADLINE, METRICS

__all__ = ["PALETTE", "Plot", "bars", "curves", "render", "tradeoff"]

Plot = Callable[[], Figure]

# Okabe and Ito: told apart by colour-blind readers, and on light and dark ground.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
_MONITORS = {
    "detect": ("metrics/mAP50-95(B)", "mAP50-95 on val, Ultralytics' own (not COCOeval)"),
    "segment": ("val_iou_crack", "crack IoU on validation images"),
}


def render(plot: Plot, dark: bool) -> bytes:
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
        figure = plot()
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def bars(comparison: Comparison) -> Figure:
    """Every metric of every model; above each bar the difference to the baseline."""
    metrics = [m for m in METRICS[comparison.task] if any(comparison.values(x, m) for x in comparison.labels)]
    figure, (axes,) = _figure(1)
    width = 0.8 / len(comparison.labels)
    for index, label in enumerate(comparison.labels):
        for place, metric in enumerate(metrics):
            values = list(comparison.values(label, metric).values())
            if not values:
                continue
            x = place + (index - (len(comparison.labels) - 1) / 2) * width
            height = mean(values)
            axes.bar(x, height, width * 0.92, color=_colour(index), label=label if place == 0 else None)
            axes.plot([x] * len(values), values, ".", color=_colour(index), markersize=4, markeredgecolor="white")
            differences = comparison.differences(label, metric)
            if differences and label != comparison.baseline:
                text = f"{mean(differences):+.3f}"
                axes.annotate(text, (x, height), (0, 3), textcoords="offset points", ha="center", fontsize=7)
    axes.set_xticks(range(len(metrics)), metrics)
    axes.set_ylabel("fraction, 0 to 1")
    axes.set_ylim(0, min(1.0, axes.get_ylim()[1] * 1.08))
    axes.grid(axis="x", visible=False)
    _legend(figure, axes)
    return figure


def tradeoff(comparison: Comparison) -> Figure:
    """Headline metric against latency and against parameters; one point a seed."""
    metric = HEADLINE[comparison.task]
    figure, panels = _figure(2)
    for axes, key, scale, name in (
        (panels[0], "latency_ms", 1.0, "latency, ms (fused, batch 1)"),
        (panels[1], "params", 1e6, "parameters, millions"),
    ):
        for index, label in enumerate(comparison.labels):
            rows = [row for row in comparison.of(label) if row["cost"] and row["metrics"].get(metric) is not None]
            xs, ys = [row["cost"][key] / scale for row in rows], [row["metrics"][metric] for row in rows]
            axes.plot(xs, ys, "o", color=_colour(index), markersize=7, label=label)
        axes.set_xlabel(name)
        axes.set_ylabel(metric)
        axes.margins(0.25)
        axes.set_xlim(left=0)
    _legend(figure, panels[0])
    return figure


def curves(comparison: Comparison) -> Figure:
    """Training loss and the validation monitor over epochs; thin lines are seeds, thick their mean."""
    key, name = _MONITORS[comparison.task]
    figure, panels = _figure(2)
    for index, label in enumerate(comparison.labels):
        tables = [_read_curves(comparison, row) for row in comparison.of(label)]
        for axes, column in ((panels[0], "loss"), (panels[1], key)):
            lines = [{e: v[column] for e, v in table.items() if column in v} for table in tables]
            for line in lines:
                axes.plot(list(line), list(line.values()), color=_colour(index), linewidth=0.8, alpha=0.5)
            shared = sorted(set.intersection(*(set(line) for line in lines)))
            middle = [mean(line[epoch] for line in lines) for epoch in shared]
            axes.plot(shared, middle, color=_colour(index), linewidth=1.8, label=label)
    for axes, title in ((panels[0], "training loss"), (panels[1], name)):
        axes.set_title(title, loc="left")
        axes.set_xlabel("epoch")
    _legend(figure, panels[0])
    return figure


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


def _figure(panels: int) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(8.2, 3.4), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    return figure, list(axes)


def _legend(figure: Figure, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2 if len(labels) < 5 else 3)


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]
