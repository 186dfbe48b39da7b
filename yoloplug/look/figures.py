"""Figures of views into a network: matplotlib, ready for a paper; values keep their units in the colour bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray
from torch import Tensor

Box = tuple[float, float, float, float]

_PANEL = 2.7
"""Width of a panel in inches; in height a panel keeps the image's shape, within limits."""
_CHANNELS = 3
"""Of a map, beside its mean: those that vary most."""


@dataclass(frozen=True)
class Scene:
    """The picture that a network looked at, and what it found.

    image: (H, W, 3) RGB uint8. covers: left, top, right and bottom in image pixels of the rectangle that feature maps
    cover; larger than the image where it was padded, smaller where it was cropped. outlines: polygons (P, 2) of x and y
    in image pixels, with labels. findings: the image with masks or key points drawn, where there are any.
    """

    image: NDArray[np.uint8]
    covers: Box
    outlines: Sequence[tuple[NDArray[Any], str]] = ()
    findings: NDArray[np.uint8] | None = None

    @property
    def aspect(self) -> float:
        """Height over width, as drawn: between 1:3 and 3:1."""
        return float(np.clip(self.image.shape[0] / self.image.shape[1], 1 / 3, 3))


def draw_heat(scene: Scene, heat: Tensor, title: str) -> Figure:
    """The picture with what was found; the same in grey under the heat map (H, W) from 0 to 1."""
    figure, axes = panel(scene, 1, 2, title, size=4.2)
    show_image(axes[0, 0], scene, labels=True)
    values = heat.numpy()
    opacity = np.clip(0.25 + 0.65 * values, 0, 0.9)  # the picture shows through where the map is low
    show_image(axes[0, 1], scene, grey=True, colour="white")
    show_map(axes[0, 1], scene, values, "LayerCAM, share of the maximum", cmap="inferno", limits=(0, 1),
             alpha=opacity, smooth=True)  # fmt: skip
    return figure


def draw_maps(scene: Scene, maps: Mapping[str, Tensor], title: str) -> Figure:
    """Each row: the mean over the channels of a map (C, H, W), the channels that vary most, and all their values."""
    shown = min(_CHANNELS, max(len(value) for value in maps.values()) - 1)
    figure, axes = panel(scene, len(maps), shown + 3, title)
    for row, (name, value) in zip(axes, maps.items(), strict=True):
        show_image(row[0], scene)
        many = len(value) > 1
        show_map(row[1], scene, value.mean(0).numpy(), f"{name}, mean of {len(value)} channels" if many else name)
        order = value.flatten(1).std(1, correction=0).argsort(descending=True).tolist()
        for axis, channel in zip(row[2:-1], order if many else [], strict=False):
            show_map(axis, scene, value[channel].numpy(), f"channel {channel}")
        for axis in row[2 + (len(order) if many else 0) : -1]:
            axis.set_axis_off()
        _histogram(row[-1], value.numpy().ravel(), name)
    return figure


def draw_bars(scene: Scene, bars: Mapping[str, Tensor], title: str) -> Figure:
    """Beside the picture one row of bars for each set of values (C,): those of the whole image, without places."""
    figure = Figure(figsize=(9.5, max(9.5 / 3 * scene.aspect, 1.5 * len(bars)) + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    grid = figure.add_gridspec(len(bars), 2, width_ratios=[1, 1.7])
    show_image(figure.add_subplot(grid[:, 0]), scene, labels=True)
    for row, (name, values) in enumerate(bars.items()):
        axis = figure.add_subplot(grid[row, 1])
        axis.bar(range(len(values)), values.numpy(), width=0.8 if len(values) < 40 else 1.0, color="#3b6ea5")
        axis.axhline(float(values.mean()), color="0.3", linewidth=0.8, linestyle="--")
        axis.set_title(f"{name}: mean {values.mean():.3g}, {values.min():.3g} to {values.max():.3g}", fontsize=8)
        axis.set_xlim(-0.6, len(values) - 0.4)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("number (expert, channel or tap)", fontsize=8)
    return figure


def panel(scene: Scene, rows: int, columns: int, title: str, size: float = _PANEL) -> tuple[Figure, NDArray[Any]]:
    """A figure whose panels have the picture's shape, and its axes (rows, columns)."""
    figure = Figure(figsize=(columns * size, rows * (size * scene.aspect * 0.78 + 0.5) + 0.3), layout="constrained")
    figure.suptitle(title, fontsize=10)
    axes: NDArray[Any] = figure.subplots(rows, columns, squeeze=False)
    return figure, axes


def show_image(axis: Axes, scene: Scene, labels: bool = False, grey: bool = False, colour: str = "#ffd23f") -> None:
    """The picture with outlines. labels: also names, masks and key points. grey: as a background for colours."""
    height, width = scene.image.shape[:2]
    image = scene.findings if labels and scene.findings is not None else scene.image
    if grey:
        luminance = scene.image @ np.array([0.299, 0.587, 0.114])
        axis.imshow(luminance, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    else:
        axis.imshow(image, extent=(0, width, height, 0))
    _outlines(axis, scene, colour, labels)
    axis.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])


def show_map(
    axis: Axes,
    scene: Scene,
    values: NDArray[Any],
    label: str,
    cmap: str | None = None,
    limits: tuple[float, float] | None = None,
    alpha: NDArray[Any] | float = 1.0,
    smooth: bool = False,
) -> None:
    """A map (H, W) where it lies on the picture, with its colour bar; each cell one square unless `smooth`.

    Without limits colours span the values, around 0 where there are both signs.
    """
    low, high = limits or (float(values.min()), float(values.max()))
    signed = low < 0 < high
    norm: Normalize
    if signed:
        reach = max(-low, high)
        norm = TwoSlopeNorm(0, -reach, reach)
    else:
        norm = Normalize(low, high if high > low else low + 1e-6)
    left, top, right, bottom = scene.covers
    drawn = axis.imshow(
        values,
        cmap=cmap or ("RdBu_r" if signed else "viridis"),
        norm=norm,
        alpha=alpha,
        extent=(left, right, bottom, top),
        interpolation="bilinear" if smooth else "nearest",
    )
    height, width = scene.image.shape[:2]
    axis.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axis.set_title(label, fontsize=8)
    if not limits:
        _outlines(axis, scene, "white" if not signed else "black", False)
    figure = axis.figure
    assert isinstance(figure, Figure)
    bar = figure.colorbar(drawn, ax=axis, fraction=0.046, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.formatter = FuncFormatter(lambda value, _: f"{value:.6g}")  # no "1e-5 + 0.5" above the bar
    if bar.solids is not None:
        bar.solids.set_alpha(1)


def _outlines(axis: Axes, scene: Scene, colour: str, labels: bool) -> None:
    for polygon, label in scene.outlines:
        closed = np.concatenate([polygon, polygon[:1]])
        axis.plot(closed[:, 0], closed[:, 1], color=colour, linewidth=0.8)
        if labels and label:
            x, y = max(polygon[:, 0].min(), 0), polygon[:, 1].min()
            above = y > 0.04 * scene.image.shape[0]
            axis.text(x, y if above else max(y, 0), label, fontsize=5, color="black", clip_on=True,
                      va="bottom" if above else "top",
                      bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.6, "alpha": 0.85})  # fmt: skip


def _histogram(axis: Axes, values: NDArray[Any], name: str) -> None:
    axis.hist(values, bins=60, color="#3b6ea5", log=True)
    axis.set_title(f"{name}, count of all values", fontsize=8)
    axis.set_xlabel(f"{values.mean():.3g} ± {values.std():.2g}", fontsize=7)
    axis.set_ylim(bottom=0.7)
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
