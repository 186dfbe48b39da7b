"""From a mask to its measured cracks."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segplug.errors import SegplugError
from segplug.measurement.crack import Crack, MaskMeasurement
from segplug.measurement.scale import check_scale
from segplug.measurement.skeleton.centre_line import CentreLine, centre_lines
from segplug.measurement.skeleton.graph import prune_spurs, skeleton_graph
from segplug.measurement.skeleton.width_profile import measure_widths

__all__ = ["MIN_LENGTH_PX", "check_min_length", "measure_mask"]

MIN_LENGTH_PX = 20.0
LONGEST_PX = 1e6
ROUND = 0.7  # spread across by spread along, above which there is no main direction


def measure_mask(
    mask: NDArray[np.bool_] | NDArray[np.uint8],
    mm_per_px: float | None = None,
    min_length_px: float = MIN_LENGTH_PX,
) -> MaskMeasurement:
    """Measure every 8-connected component of an (H, W) mask, bool, 0/1 or 0/255, that is at least `min_length_px` long.

    Raises SegplugError on another shape or other values, a scale or limit out of range.
    """
    pixels = _as_bool(mask)
    if mm_per_px is not None:
        check_scale("mm_per_px", mm_per_px)
    check_min_length(min_length_px)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(pixels.view(np.uint8), connectivity=8)
    found: list[Crack] = []
    left_out_px = 0
    for label in range(1, count):
        left, top, width, height, area = map(int, boxes[label])
        crack = None
        if math.sqrt(2) * (area + 1) >= min_length_px:  # no line through so few pixels is longer
            inside = labels[top : top + height, left : left + width] == label
            crack = _measure_component(inside, left, top, mm_per_px)
        if crack is not None and crack.length_px >= min_length_px:
            found.append(crack)
        else:
            left_out_px += area
    found.sort(key=lambda crack: -crack.length_px)
    return MaskMeasurement(
        height_px=pixels.shape[0],
        width_px=pixels.shape[1],
        mm_per_px=mm_per_px,
        cracks=tuple(_numbered(crack, number) for number, crack in enumerate(found, start=1)),
        crack_pixels=int(np.count_nonzero(pixels)),
        left_out=count - 1 - len(found),
        left_out_px=left_out_px,
    )


def check_min_length(min_length_px: float) -> None:
    """Raises SegplugError."""
    if not 0 <= min_length_px <= LONGEST_PX:
        raise SegplugError(f"min_length_px must lie between 0 and {LONGEST_PX:g}, got {min_length_px}")


def _as_bool(mask: NDArray[np.bool_] | NDArray[np.uint8]) -> NDArray[np.bool_]:
    pixels = np.asarray(mask)
    if pixels.ndim != 2 or not pixels.size:
        raise SegplugError(f"a mask is (H, W), got shape {pixels.shape}")
    if pixels.dtype == np.bool_:
        return np.ascontiguousarray(pixels)
    values = set(np.unique(pixels).tolist())
    if not (values <= {0, 1} or values <= {0, 255}):
        raise SegplugError(f"mask values must be 0/1, 0/255 or bool, got {sorted(values)[:6]}; binarise it")
    return np.ascontiguousarray(pixels.astype(bool))


def _measure_component(inside: NDArray[np.bool_], left: int, top: int, mm_per_px: float | None) -> Crack:
    """`inside`: (H, W) of the component's bounding box, whose corner lies at `left`, `top`."""
    padded = np.pad(inside, 1)
    solid = _fill_pinholes(padded)
    distance = _distance(solid)
    graph = prune_spurs(skeleton_graph(solid), distance)
    lines = centre_lines(graph, solid, distance)
    widths = measure_widths(lines, solid, _distance(padded))
    shift = np.array([left - 1, top - 1])
    branches, junctions, ends, loops = graph.topology(distance)
    return Crack(
        number=0,
        length_px=sum(line.length_px for line in lines),
        mean_width_px=widths.mean_px,
        max_width_px=widths.max_px,
        max_width_at_px=(widths.widest_at[1] + left - 1, widths.widest_at[0] + top - 1),
        orientation_deg=_orientation_deg(lines),
        area_px=int(np.count_nonzero(inside)),
        branches=branches,
        junctions=junctions,
        ends=ends,
        loops=loops,
        bbox_px=(left, top, inside.shape[1], inside.shape[0]),
        mm_per_px=mm_per_px,
        centre_lines_px=tuple(line.points[:, ::-1] + shift for line in lines),
    )


def _fill_pinholes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without holes smaller than the square of half the width: noise, which the centre line would run round."""
    half_width = 2 * float(_distance(mask)[mask].mean())
    _, labels, boxes, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4)
    small = np.flatnonzero(np.asarray(boxes)[:, cv2.CC_STAT_AREA].astype(float) < half_width**2)
    small = small[(small != 0) & (small != labels[0, 0])]
    return mask | np.isin(labels, small)


def _distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    away = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, dtype=np.float32)


def _orientation_deg(lines: list[CentreLine]) -> float | None:
    """Main axis of the centre lines, every pixel of length counting the same."""
    points = np.concatenate([line.points for line in lines])
    spread, axes = np.linalg.eigh(np.cov(points.T))
    if math.sqrt(max(spread[0], 0) / spread[1]) > ROUND:
        return None
    row, column = axes[:, 1]
    return float(np.rad2deg(np.arctan2(-row, column)) % 180)


def _numbered(crack: Crack, number: int) -> Crack:
    return replace(crack, number=number)
