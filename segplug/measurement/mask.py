"""From a mask to its measured cracks."""

import math
from dataclasses import replace

import cv2
import numpy as np

from segplug.arrays import Mask, Pixels
from segplug.errors import SegplugError
from segplug.measurement.crack import Crack, MaskMeasurement
from segplug.measurement.joining import Gap, has_neighbour, joined
from segplug.measurement.piece import Piece, distance_inside, trace
from segplug.measurement.scale import check_scale
from segplug.measurement.skeleton.centre_line import CentreLine
from segplug.measurement.skeleton.width_profile import measure_widths

MIN_LENGTH_PX = 20.0
JOIN_PX = 12.0
MIN_PIECE_PX = 4
LONGEST_PX = 1e6
ROUND = 0.7  # spread across by spread along, above which there is no main direction


def measure_mask(
    mask: Mask | Pixels, mm_per_px: float | None = None, min_length_px: float = MIN_LENGTH_PX, join_px: float = JOIN_PX
) -> MaskMeasurement:
    """Measure every crack of an (H, W) mask, bool, 0/1 or 0/255, that is at least `min_length_px` long.

    A crack is an 8-connected piece, or several in line with gaps of at most `join_px` between them (0: none is joined).
    Raises SegplugError on another shape or other values, a scale or limit out of range.
    """
    pixels = _as_bool(mask)
    if mm_per_px is not None:
        check_scale("mm_per_px", mm_per_px)
    check_length("min_length_px", min_length_px)
    check_length("join_px", join_px)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(pixels.view(np.uint8), connectivity=8)
    joinable = (
        has_neighbour(np.asarray(labels, dtype=np.int32), count, join_px)
        if join_px > 0
        else np.zeros(count, dtype=bool)
    )
    pieces: list[Piece] = []
    for label in range(1, count):
        left, top, width, height, area = map(int, boxes[label])
        # no line through so few pixels is longer
        if math.sqrt(2) * (area + 1) >= min_length_px or (joinable[label] and area >= MIN_PIECE_PX):
            inside = labels[top : top + height, left : left + width] == label
            pieces.append(trace(inside, left, top))
    found = [_measure([pieces[i] for i in numbers], gaps, mm_per_px) for numbers, gaps in joined(pieces, join_px)]
    found = sorted((crack for crack in found if crack.length_px >= min_length_px), key=lambda crack: -crack.length_px)
    crack_pixels = int(np.count_nonzero(pixels))
    return MaskMeasurement(
        height_px=pixels.shape[0],
        width_px=pixels.shape[1],
        mm_per_px=mm_per_px,
        cracks=tuple(replace(crack, number=number) for number, crack in enumerate(found, start=1)),
        crack_pixels=crack_pixels,
        left_out=count - 1 - sum(crack.gaps + 1 for crack in found),
        left_out_px=crack_pixels - sum(crack.area_px for crack in found),
    )


def check_length(name: str, value_px: float) -> None:
    """Raises SegplugError."""
    if not 0 <= value_px <= LONGEST_PX:
        raise SegplugError(f"{name} must lie between 0 and {LONGEST_PX:g}, got {value_px}")


def _as_bool(mask: Mask | Pixels) -> Mask:
    pixels = np.asarray(mask)
    if pixels.ndim != 2 or not pixels.size:
        raise SegplugError(f"a mask is (H, W), got shape {pixels.shape}")
    if pixels.dtype == np.bool_:
        return np.ascontiguousarray(pixels)
    values = set(np.unique(pixels).tolist())
    if not (values <= {0, 1} or values <= {0, 255}):
        raise SegplugError(f"mask values must be 0/1, 0/255 or bool, got {sorted(values)[:6]}; binarise it")
    return np.ascontiguousarray(pixels.astype(bool))


def _measure(pieces: list[Piece], gaps: list[Gap], mm_per_px: float | None) -> Crack:
    left, top = min(piece.left for piece in pieces), min(piece.top for piece in pieces)
    right = max(piece.left + piece.inside.shape[1] for piece in pieces)
    bottom = max(piece.top + piece.inside.shape[0] for piece in pieces)
    inside, solid = np.zeros((2, bottom - top + 2, right - left + 2), dtype=bool)
    for piece in pieces:
        (h, w), row, column = piece.inside.shape, piece.top - top + 1, piece.left - left + 1
        inside[row : row + h, column : column + w] |= piece.inside
        solid[row : row + h, column : column + w] |= piece.solid
    lines = [line for piece in pieces for line in piece.lines]
    widths = measure_widths(lines, solid, distance_inside(inside), (top - 1, left - 1))
    between = [np.stack([start.tip, end.tip]) for start, end in gaps]
    gap_px = sum(float(np.linalg.norm(end - start)) for start, end in between)
    branches, junctions, ends, loops = np.sum([piece.topology for piece in pieces], axis=0).tolist()
    return Crack(
        number=0,
        length_px=sum(line.length_px for line in lines) + gap_px,
        mean_width_px=widths.mean_px,
        max_width_px=widths.max_px,
        max_width_at_px=(widths.widest_at[1], widths.widest_at[0]),
        orientation_deg=_orientation_deg(lines),
        area_px=int(np.count_nonzero(inside)),
        branches=branches - len(gaps),
        junctions=junctions,
        ends=ends - 2 * len(gaps),
        loops=loops,
        bbox_px=(left, top, right - left, bottom - top),
        mm_per_px=mm_per_px,
        gaps=len(gaps),
        gap_px=gap_px,
        centre_lines_px=tuple(points[:, ::-1] for points in (*(line.points for line in lines), *between)),
    )


def _orientation_deg(lines: list[CentreLine]) -> float | None:
    """Main axis of the centre lines, every pixel of length counting the same."""
    points = np.concatenate([line.points for line in lines])
    spread, axes = np.linalg.eigh(np.cov(points.T))
    if math.sqrt(max(spread[0], 0) / spread[1]) > ROUND:
        return None
    row, column = axes[:, 1]
    return float(np.rad2deg(np.arctan2(-row, column)) % 180)
