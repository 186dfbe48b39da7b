"""The figure of a deformable block: taps at chosen places, how far all taps move, and how much they count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from yoloplug.look.figures import Scene, panel, show_image, show_map
from yoloplug.look.sampling import Sampling

Place = tuple[float, float]


def taps_px(scene: Scene, sampling: Sampling, place: Place) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """What the output pixel over `place` (x, y in image pixels) reads: regular and moved taps, and their weights.

    Points (groups * taps, 2) as x and y in image pixels; weights (groups * taps,) or None. Raises ValueError for a
    place outside the map.
    """
    left, top, right, bottom = scene.covers
    rows, columns = sampling.moved.shape[-2:]
    column = int((place[0] - left) / (right - left) * columns // 1)
    row = int((place[1] - top) / (bottom - top) * rows // 1)
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(f"place {place[0]:g},{place[1]:g} lies outside of what the network saw")
    weights = sampling.weights
    return (
        _points(scene, sampling, sampling.regular[..., row, column]),
        _points(scene, sampling, sampling.moved[..., row, column]),
        None if weights is None else weights[..., row, column].flatten().numpy(),
    )


def field_px(scene: Scene, sampling: Sampling) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of every output pixel: mean length of its taps' displacements, and their mean across and down, image pixels."""
    down_px, across_px = _cell(scene, sampling)
    moves = sampling.displacement.numpy()
    down, across = moves[:, :, 0] * down_px, moves[:, :, 1] * across_px
    return np.hypot(across, down).mean((0, 1)), across.mean((0, 1)), down.mean((0, 1))


def draw_offsets(scene: Scene, sampling: Sampling, places: Sequence[Place], title: str) -> Figure:
    """The picture with places marked, a close-up of each with its taps, the field of displacements, the modulation."""
    modulated = sampling.weights is not None
    figure, axes = panel(scene, 1, 2 + len(places) + modulated, title, size=3.2)
    first, *others = axes[0]
    show_image(first, scene, labels=True)
    for number, (place, axis) in enumerate(zip(places, others, strict=False), 1):
        first.plot(*place, marker="+", color="red", markersize=8)
        first.annotate(str(number), place, xytext=(3, 3), textcoords="offset points", color="red", fontsize=8)
        _close_up(axis, scene, sampling, place, number)
    _field(others[len(places)], scene, sampling)
    if sampling.weights is not None:
        show_map(others[-1], scene, sampling.weights.mean((0, 1)).numpy(), "modulation, mean of taps and groups")
    return figure


def _close_up(axis: Axes, scene: Scene, sampling: Sampling, place: Place, number: int) -> None:
    regular, moved, weights = taps_px(scene, sampling, place)
    height, width = scene.image.shape[:2]
    axis.imshow(scene.image, extent=(0, width, height, 0))
    axis.quiver(
        regular[:, 0],
        regular[:, 1],
        *(moved - regular).T,
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.006,
        color="white",
        alpha=0.8,
    )
    axis.scatter(regular[:, 0], regular[:, 1], s=12, facecolors="none", edgecolors="white", linewidths=0.8)
    values: Any = "#e63946" if weights is None else weights
    points = axis.scatter(
        moved[:, 0], moved[:, 1], s=18, c=values, cmap="plasma", edgecolors="black", linewidths=0.4, zorder=3
    )
    axis.plot(*place, marker="+", color="red", markersize=9)
    both = np.concatenate([regular, moved, [place]])
    middle, reach = (both.min(0) + both.max(0)) / 2, np.ptp(both, axis=0).max() * 0.75
    axis.set(
        xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] + reach, middle[1] - reach), xticks=[], yticks=[]
    )
    axis.set_facecolor("0.6")
    axis.set_title(f"place {number}, {2 * reach:.0f} px wide", fontsize=8)
    if weights is not None:
        figure = axis.figure
        assert isinstance(figure, Figure)
        bar = figure.colorbar(points, ax=axis, fraction=0.046, pad=0.02)
        bar.ax.tick_params(labelsize=7)


def _field(axis: Axes, scene: Scene, sampling: Sampling) -> None:
    length, across, down = field_px(scene, sampling)
    rows, columns = length.shape
    step = max(1, round(max(rows, columns) / 20))
    left, top, right, bottom = scene.covers
    x = left + (np.arange(columns) + 0.5) * (right - left) / columns
    y = top + (np.arange(rows) + 0.5) * (bottom - top) / rows
    part = (slice(step // 2, None, step),) * 2
    # Drawn so that the longest spans the way to its neighbour.
    longest = float(np.hypot(across[part], down[part]).max())
    times = _round_number(step * (right - left) / columns / longest) if longest > 0 else 1.0
    show_map(axis, scene, length, f"offset length, image px (arrows x {times:g})")
    axis.quiver(
        *np.meshgrid(x[part[1]], y[part[0]]), across[part], down[part],
        angles="xy", scale_units="xy", scale=1 / times, width=0.005, color="white", zorder=3,
    )  # fmt: skip


def _round_number(x: float) -> float:
    """The largest 1, 2 or 5 times a power of ten up to x."""
    power = 10.0 ** np.floor(np.log10(x))
    return float(max(step for step in (1, 2, 5) if step * power <= x * (1 + 1e-9)) * power)


def _points(scene: Scene, sampling: Sampling, positions: Tensor) -> NDArray[Any]:
    """(groups, taps, 2) row and column on the map -> (groups * taps, 2) x and y in image pixels."""
    flat = positions.reshape(-1, 2).numpy()
    down, across = _cell(scene, sampling)
    x, y = scene.covers[0] + (flat[:, 1] + 0.5) * across, scene.covers[1] + (flat[:, 0] + 0.5) * down
    return np.stack([x, y], axis=1)


def _cell(scene: Scene, sampling: Sampling) -> tuple[float, float]:
    """Height and width in image pixels of a pixel of the block's input map."""
    left, top, right, bottom = scene.covers
    return (bottom - top) / sampling.size[0], (right - left) / sampling.size[1]
