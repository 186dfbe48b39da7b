"""The annotated picture: outline, centre line, number and widest place of each crack, a scale bar below."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from segplug.arrays import Pixels, Points
from segplug.measurement.crack import Crack, MaskMeasurement
from segplug.page.palette import CENTRE_LINE, OUTLINE, WIDEST, rgb

INK, PAPER = (20, 20, 20), (255, 255, 255)
LEGEND = {"outline": rgb(OUTLINE), "centre line": rgb(CENTRE_LINE), "widest place": rgb(WIDEST)}
READABLE_PX, LARGEST_PX = 900, 6000  # longer side of the picture
Circle = tuple[int, int, int]  # x, y, radius
Box = tuple[int, int, int, int]  # left, top, right, bottom
FONT = cv2.FONT_HERSHEY_SIMPLEX


def mask_background(mask: Pixels) -> Pixels:
    """(H, W) mask -> (H, W, 3) RGB: dark grey cracks on light grey, for when there is no photo."""
    return np.where(mask[..., None] > 0, np.uint8(90), np.uint8(225)).repeat(3, axis=2)


def draw_measurement(background: Pixels, mask: Pixels, measured: MaskMeasurement) -> Pixels:
    """(H, W, 3) RGB photo -> RGB picture with a legend below: a whole number of times larger if small, at most
    6000 px on a side.

    Components that were left out have an outline and no number. Raises ValueError when photo and mask differ in size.
    """
    h, w = mask.shape
    if background.shape != (h, w, 3):
        raise ValueError(f"background must be {(h, w, 3)}, got {background.shape}")
    zoom = max(1, math.ceil(READABLE_PX / max(h, w)))
    size = (w * zoom, h * zoom)
    enlarged = cv2.resize(background, size, interpolation=cv2.INTER_NEAREST)
    drawn = np.ascontiguousarray(enlarged, dtype=np.uint8)
    unit = max(1, round(max(size) / 1000))
    large = cv2.resize((mask > 0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, contours, -1, rgb(OUTLINE), unit)
    for crack in measured.cracks:
        for line in crack.centre_lines_px:
            cv2.polylines(drawn, [_at(line, zoom)], False, rgb(CENTRE_LINE), unit, cv2.LINE_AA)
    rings = [_ring(crack, zoom, unit) for crack in measured.cracks]
    for x, y, radius in rings:
        cv2.circle(drawn, (x, y), radius, rgb(WIDEST), 2 * unit, cv2.LINE_AA)
    _number(drawn, [str(crack.number) for crack in measured.cracks], rings, unit)
    picture = np.concatenate([drawn, _legend(size[0], unit, zoom, measured.mm_per_px)], axis=0)
    shrink = LARGEST_PX / max(picture.shape[:2])  # lines are a thousandth of the side wide and stay visible
    small = picture if shrink >= 1 else cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def _at(points: Points, zoom: int) -> NDArray[np.int32]:
    """Pixel coordinates of the enlarged picture; pixel centres are whole numbers in both."""
    return np.rint((points + 0.5) * zoom - 0.5).astype(np.int32)


def _ring(crack: Crack, zoom: int, unit: int) -> Circle:
    x, y = map(int, _at(np.array(crack.max_width_at_px), zoom))
    return x, y, max(5 * unit, round(0.75 * crack.max_width_px * zoom))


def _number(drawn: Pixels, texts: list[str], rings: list[Circle], unit: int) -> None:
    """Each text beside its ring where it covers no other number and, if that can be, no ring; a line to its ring."""
    scale, pad = 0.65 * unit, 4 * unit
    taken: list[Box] = []
    around = [(x - r, y - r, x + r, y + r) for x, y, r in rings]
    for text, (x, y, radius) in zip(texts, rings, strict=True):
        width, height = (side + 2 * pad for side in cv2.getTextSize(text, FONT, scale, 2 * unit)[0])
        boxes = _places(x, y, radius, width, height, drawn.shape[1], drawn.shape[0])
        free = [box for box in boxes if not any(_overlap(box, other) for other in taken)] or boxes[:1]
        box = next((box for box in free if not any(_overlap(box, ring) for ring in around)), free[0])
        taken.append(box)
        nearest = min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])
        away = math.dist((x, y), nearest)
        if away > radius + 4 * unit:
            edge = tuple(round(at + (to - at) * radius / away) for at, to in zip((x, y), nearest, strict=True))
            cv2.line(drawn, edge, nearest, INK, unit, cv2.LINE_AA)
    for text, box in zip(texts, taken, strict=True):  # after all lines, which would cross them out
        cv2.rectangle(drawn, (box[0], box[1]), (box[2], box[3]), INK, cv2.FILLED)
        cv2.putText(drawn, text, (box[0] + pad, box[3] - pad), FONT, scale, PAPER, 2 * unit, cv2.LINE_AA)


def _places(x: int, y: int, radius: int, width: int, height: int, right: int, bottom: int) -> list[Box]:
    """Boxes in eight directions around the ring, nearest first, kept inside the picture."""
    found = []
    for step in range(5):
        gap = radius + step * height
        aside, below = (gap, -gap - width, -width // 2), (-gap - height, gap, -height // 2)
        for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (1, 2), (2, 0), (2, 1)):
            left = min(max(x + aside[dx], 0), max(0, right - 1 - width))
            top = min(max(y + below[dy], 0), max(0, bottom - 1 - height))
            found.append((left, top, left + width, top + height))
    return found


def _overlap(a: Box, b: Box) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _legend(width: int, unit: int, zoom: int, mm_per_px: float | None) -> Pixels:
    """(h, width, 3): a scale bar of 1, 2 or 5 times a power of ten, up to a fifth of the width; what colours mean."""
    per_px = (mm_per_px or 1) / zoom
    bar = _round_down(width / 5 * per_px)
    length = max(1, round(bar / per_px))
    entries = [(f"{bar:g} {'px' if mm_per_px is None else 'mm'}", INK), *LEGEND.items()]
    line, scale, left = 24 * unit, 0.5 * unit, 8 * unit
    places, row = [], 0
    for index, (text, _) in enumerate(entries):
        wide = cv2.getTextSize(text, FONT, scale, unit)[0][0] + (length if index == 0 else 14 * unit) + 8 * unit
        if left > 8 * unit and left + wide > width:
            left, row = 8 * unit, row + 1
        places.append((left, row))
        left += wide + 14 * unit
    strip = np.full(((row + 1) * line + 4 * unit, width, 3), 255, dtype=np.uint8)
    for index, ((text, colour), (left, row)) in enumerate(zip(entries, places, strict=True)):
        middle, end = row * line + line // 2, left + (length if index == 0 else 14 * unit)
        cv2.line(strip, (left, middle), (end, middle), colour, 4 * unit)
        cv2.putText(strip, text, (end + 6 * unit, middle + 5 * unit), FONT, scale, INK, unit, cv2.LINE_AA)
    return strip


def _round_down(value: float) -> float:
    power = 10 ** math.floor(math.log10(value))
    return float(max(m for m in (1, 2, 5) if m * power <= value) * power)
