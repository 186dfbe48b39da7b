"""The plots of a comparison by name, with what they say below them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from experiments.report.comparison import Comparison
from experiments.report.figures.curves import loss, monitor
from experiments.report.figures.differences import MOST_CLASSES, classes, errors, metrics, verdict
from experiments.report.figures.intervals import Intervals, intervals
from experiments.report.figures.scatter import latency, size
from experiments.report.figures.theme import render

_INTERVALS = "Bars, where three seeds allow: 95 % interval of the difference to the baseline."
PLOTS: dict[str, tuple[Callable[[Comparison, Intervals], Figure | None], str]] = {
    "verdict": (verdict, f"What the verdicts rest on. {_INTERVALS}"),
    "metrics": (metrics, f"Differences to the baseline. {_INTERVALS}"),
    "monitor": (
        monitor,
        "Watched after each epoch; not the reported metric. Line: mean over seeds; band: their range.",
    ),
    "loss": (loss, "Training loss. Line: mean over seeds; band: their range."),
    "latency": (
        latency,
        f"Quality against latency. {_INTERVALS} Dotted: the baseline's level; dashes: seeds; horizontal bars: 10th to "
        "90th percentile of the runs; Pareto front: nothing is both faster and better.",
    ),
    "parameters": (
        size,
        f"Quality against size. {_INTERVALS} Dotted: the baseline's level; dashes: seeds; Pareto front: nothing is "
        "both smaller and better.",
    ),
    "classes": (
        classes,
        f"AP of each class (of more than {MOST_CLASSES} those that differ most). {_INTERVALS}",
    ),
    "errors": (errors, "Kinds of error, mean over seeds; less is better."),
}


@dataclass(frozen=True)
class Picture:
    """One plot: SVG for light and for dark ground, PNG for light ground."""

    light: bytes
    dark: bytes
    png: bytes


Drawn = dict[str, Picture]


def draw_plots(comparison: Comparison) -> Drawn:
    """Every plot that the comparison has the data for."""
    known, drawn = intervals(comparison), {}
    for name, (draw, _) in PLOTS.items():
        figure = partial(draw, comparison, known)
        light, dark, png = render(figure), render(figure, dark=True), render(figure, kind="png")
        if light and dark and png:
            drawn[name] = Picture(light, dark, png)
    return drawn
