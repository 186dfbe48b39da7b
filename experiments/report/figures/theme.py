"""How every plot looks, in one place; what segplug.page is to the page. SVGs are transparent, PNGs white."""

import io
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from segplug.page.palette import DARK, LIGHT, SERIES

_MARKERS = "osD^vPX"  # beside the colours, for print
_WIDTH, _HEIGHT, _LEGEND_LINE = 4.6, 3.1, 0.17  # inches


def render(draw: Callable[[], Figure | None], dark: bool = False, kind: str = "svg") -> bytes | None:
    """The figure as SVG or PNG; None when there is nothing to draw. Equal figures give equal bytes."""
    ink = (DARK if dark else LIGHT)["ink"]
    style: Any = {
        "figure.facecolor": "white" if kind == "png" else "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "auto",
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "grid.color": ink,
        "lines.color": ink,
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.linewidth": 0.7,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.13,
        "grid.linewidth": 0.6,
        "text.parse_math": False,  # a `$` of a class name is a `$`
        "legend.frameon": False,
        "legend.handlelength": 1.6,
        "svg.hashsalt": "report",
    }
    buffer = io.BytesIO()
    with matplotlib.rc_context(style):
        figure = draw()
        if figure is None:
            return None
        if kind == "png":
            FigureCanvasAgg(figure)
            figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
        else:
            FigureCanvasSVG(figure)
            figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def panel(entries: int, height: float = _HEIGHT) -> tuple[Figure, Any]:
    """One pair of axes, with room for a legend of so many entries above it."""
    figure = Figure(figsize=(_WIDTH, height + _LEGEND_LINE * entries), layout="constrained")
    return figure, figure.subplots()


def legend(figure: Figure, axes: Any) -> Figure:
    """One entry a line above the axes: model names are long, and never cover the data there."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", ncols=1, labelspacing=0.25, borderaxespad=0.2)
    return figure


def colour(index: int) -> str:
    """Of the model at this place in the comparison; the baseline is 0."""
    return SERIES[index % len(SERIES)]


def marker(index: int) -> str:
    """Shifted where the colours begin again, so that no two of 49 models look alike."""
    return _MARKERS[(index + index // len(SERIES)) % len(_MARKERS)]
