"""The width along a crack: the pixels nearest to a stretch of its centre line, by the length of that stretch.

Pixel counts are unbiased in any direction, where twice the distance transform is off by half a pixel and reads 2 on an
oblique line of 1 px. Where a stretch of line owns pixels that are none of its width, such as those of a stump whose own
line was pruned as a spur, their number says too much: no stretch is wider than the largest circle in the mask there.
"""

from dataclasses import dataclass

import numpy as np

from segplug.arrays import Floats, Mask, Points
from segplug.measurement.skeleton.centre_line import CentreLine
from segplug.measurement.skeleton.thickness import local_thickness

MIN_STRETCH_PX = 5.0
ENOUGH = 0.75  # of a window


@dataclass(frozen=True)
class Widths:
    """`widest_at`: row and column."""

    mean_px: float
    max_px: float
    widest_at: tuple[float, float]


def measure_widths(lines: list[CentreLine], mask: Mask, distance_px: Floats, corner: tuple[int, int]) -> Widths:
    """Mean width and widest stretch of one crack, `mask` (H, W), with its centre lines.

    `distance_px`: distance transform of the crack with its pinholes, which the mask may lack. `corner`: row and column
    of the mask's first pixel in the coordinates of the lines.
    Blurred ends of the lines count for neither, unless nothing else is left: then both are area by length.
    """
    from scipy.ndimage import maximum_filter1d
    from scipy.spatial import cKDTree

    pixels, points = np.argwhere(mask), np.concatenate([line.points for line in lines]) - corner
    counts = np.bincount(cKDTree(points).query(pixels)[1], minlength=len(points))
    thicknesses = local_thickness(points, distance_px)
    rough = len(pixels) / sum(line.length_px for line in lines)
    used_px = used_pixels = widest = 0.0
    longest = max(lines, key=lambda line: line.length_px).points
    widest_at = longest[len(longest) // 2]
    first = 0
    for line in lines:
        owned = counts[first : first + len(line.points)].astype(np.float64)
        thickness = thicknesses[first : first + len(line.points)]
        first += len(line.points)
        step = line.length_px / (len(line.points) - 1)
        along = np.arange(len(line.points)) * step
        clear = (along >= line.start_blur_px) & (along <= along[-1] - line.end_blur_px)
        if not clear.any():
            continue
        used_px += step * float(np.count_nonzero(clear))
        used_pixels += float(owned[clear].sum())
        half = round(max(MIN_STRETCH_PX, rough) / step)
        inscribed = maximum_filter1d(np.where(clear, thickness, 0), 2 * half + 1, mode="constant")
        profile = np.minimum(_averaged(owned, clear, half, step), inscribed)
        depth = distance_px[tuple(np.rint(line.points - corner).astype(int).T)]
        best = int(np.lexsort((depth, profile))[-1])
        if profile[best] > widest:
            widest, widest_at = float(profile[best]), line.points[best]
    mean = min(used_pixels / used_px if used_px > min(MIN_STRETCH_PX, rough) else rough, 2 * float(distance_px.max()))
    return Widths(mean, max(mean, widest), (float(widest_at[0]), float(widest_at[1])))


def _averaged(owned: Points, clear: Mask, half: int, step_px: float) -> Points:
    """Width around each point over the clear points of a Hann window, `half` steps to each side; 0 where few are clear.

    A box would let whole columns of pixels in and out at its ends, half a pixel of width.
    """
    window = np.hanning(2 * half + 1)
    pixels = np.convolve(np.where(clear, owned, 0), window)[half : half + len(owned)]
    points = np.convolve(clear.astype(np.float64), window)[half : half + len(owned)]
    enough = points >= min(ENOUGH * window.sum(), points.max())
    return np.where(enough, pixels / np.maximum(points * step_px, 1e-9), 0)
